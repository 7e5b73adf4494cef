package demo

import (
	_ "embed"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed storagesrv.yaml.tmpl
var configText string

var configTemplate = template.Must(template.New("storagesrv.yaml").Parse(configText))

// settings are what the server needs to know of the demo.
type settings struct {
	Public, Admin    string // listeners of the server
	URL              string // of the first
	TokenHash        string // SHA-256 of what a web app has
	SigningKey       string
	User             string // at the recorder and on the SFTP server
	RecorderURL      string
	RecorderPassword string
	Mount            string // the directory
	Spool            string // another one
	SFTP             string // host:port
	SFTPKey          []byte // PEM
	HostKey          string // fingerprint
}

// write makes a configuration file, and those of the secrets beside it.
func (s *settings) write(file string) error {
	var text strings.Builder
	if err := configTemplate.Execute(&text, s); err != nil {
		return err
	}
	for name, content := range map[string]string{
		filepath.Base(file): text.String(),
		"recorder-password": s.RecorderPassword + "\n",
		"signing-key":       s.SigningKey + "\n",
		"sftp-key":          string(s.SFTPKey),
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}
