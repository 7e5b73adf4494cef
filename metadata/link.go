package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxLinkAnswer = 16 << 10 // bytes of JSON about a link
	maxLink       = 4 << 10  // bytes of a link: what goes into a header field without trouble
)

// SignedURL asks the recorder for a link by which whoever holds it may fetch a
// file of a call for some time, in whole seconds. An empty fileID leaves the
// choice to the recorder, which makes one of all files of the call. The link is
// absolute, printable and otherwise as the recorder gave it: where it leads to
// is the caller's to check. No error quotes it.
//
// Errors are as those of [Client.Call].
func (c *Client) SignedURL(ctx context.Context, callID, fileID string, expires time.Duration) (*url.URL, error) {
	u, err := c.fileURL(callID, fileID, "file_url.json")
	if err != nil {
		return nil, err
	}
	query := u.Query()
	query.Set("expires", strconv.FormatInt(int64(expires/time.Second), 10))
	u.RawQuery = query.Encode()
	link, err := ask(ctx, c, callID, func(ctx context.Context) (*url.URL, error) {
		body, err := c.lookUp(ctx, u, maxLinkAnswer)
		if err != nil {
			return nil, err
		}
		return decodeLink(body)
	})
	if err != nil {
		return nil, fmt.Errorf("get a link to call %s: %w", callID, err)
	}
	return link, nil
}

// fileURL is where the recorder answers about a file of a call.
func (c *Client) fileURL(callID, fileID, resource string) (*url.URL, error) {
	if !ValidID(callID) || fileID != "" && !ValidFileID(fileID) {
		return nil, fmt.Errorf("call %s, file %s: %w", excerpt(callID), excerpt(fileID), ErrNotFound)
	}
	u := c.base.JoinPath("api/v2/calls", callID+".json", resource)
	if fileID != "" {
		u.RawQuery = url.Values{"file_id": {fileID}}.Encode()
	}
	return u, nil
}

// decodeLink reads the recorder's answer, {"signed_url": "https://..."}.
func decodeLink(body []byte) (*url.URL, error) {
	var answer struct {
		SignedURL string `json:"signed_url"`
	}
	if len(body) > maxLinkAnswer {
		return nil, fmt.Errorf("%w: more than %d bytes for a link", ErrMalformed, maxLinkAnswer)
	}
	if json.Unmarshal(body, &answer) != nil || answer.SignedURL == "" {
		return nil, fmt.Errorf("%w: no signed_url", ErrMalformed)
	}
	// What browsers read otherwise than we do, as they do "\", goes no further.
	odd := func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' }
	link, err := url.Parse(answer.SignedURL)
	switch {
	case len(answer.SignedURL) > maxLink || strings.ContainsFunc(answer.SignedURL, odd) || err != nil:
		return nil, fmt.Errorf("%w: signed_url is no URL", ErrMalformed)
	case link.Scheme != "http" && link.Scheme != "https" || link.Hostname() == "" || link.User != nil:
		return nil, fmt.Errorf("%w: signed_url is no plain http or https URL", ErrMalformed)
	}
	return link, nil
}
