package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/config"
	"storagesrv/metadata"
)

type signCommand struct {
	ConfigFlag
	CallID   string        `arg:"" help:"Call that the link plays."`
	FileID   string        `help:"File of the call, if it has several." placeholder:"ID"`
	Expires  time.Duration `help:"How long the link is good, up to access.max_expires (${default})." default:"1h" placeholder:"TIME"`
	Subject  string        `help:"Whom the link is for: it stands in the log, and can be read in the link." placeholder:"NAME"`
	Download bool          `help:"Send the recording as an attachment."`
}

// Run prints a signed link. It asks nobody whether there is such a recording.
func (c signCommand) Run(out output) error {
	settings, err := c.load()
	if err != nil {
		return err
	}
	link, err := c.sign(settings)
	if err != nil {
		return &usageError{err}
	}
	_, err = fmt.Fprintln(out.stdout, link)
	return err
}

func (c signCommand) sign(settings *config.Config) (string, error) {
	switch {
	case !metadata.ValidID(c.CallID):
		return "", errors.New("a call id is 1 to 64 letters, digits and hyphens")
	case c.FileID != "" && !metadata.ValidFileID(c.FileID):
		return "", errors.New("--file-id: 1 to 64 letters, digits, _ and -")
	case settings.HTTP.Public == nil:
		return "", settings.Locate(errors.New("http.public_url: needed to know where links lead"))
	}
	keys, err := newKeys(settings.Access, nil)
	if err != nil {
		return "", settings.Locate(err)
	}
	if keys == nil {
		return "", settings.Locate(errors.New("access.signing_keys: needed to sign"))
	}
	expires, err := keys.Expires(cmp.Or(c.Expires, -1)) // 0 is no time either
	if err != nil {
		return "", fmt.Errorf("--expires: from 1s to %v, which is access.max_expires", keys.MaxExpires())
	}
	return keys.Sign(access.Link{
		Origin: *settings.HTTP.Public, CallID: c.CallID, FileID: c.FileID, Download: c.Download,
		Expires: expires, Subject: access.Printable(c.Subject),
	}), nil
}
