package access

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// An Origin is where clients reach a server: what its links begin with.
type Origin struct {
	Scheme string // http or https
	Host   string // in lower case, and with a port unless that is the scheme's own
	Path   string // what a proxy in front takes off, such as /play; "" for nothing
}

// ErrOrigin is the error of a text that says no origin.
var ErrOrigin = errors.New("no http or https address of a host, with or without a path")

var (
	hosts = regexp.MustCompile(`^([0-9a-z_][0-9a-z._-]*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$`)
	paths = regexp.MustCompile(`^(/[0-9A-Za-z_~-][0-9A-Za-z._~-]*)*$`)
)

const (
	maxHost = 261 // a name of 255 bytes, a colon, a port
	maxPath = 256
)

// NewOrigin returns the origin that a request names by its scheme and its Host
// header.
func NewOrigin(scheme, host string) (Origin, error) {
	ports := map[string]string{"http": ":80", "https": ":443"}
	port, known := ports[scheme]
	host = strings.ToLower(host)
	if !known || len(host) > maxHost || !hosts.MatchString(host) {
		return Origin{}, ErrOrigin
	}
	return Origin{Scheme: scheme, Host: strings.TrimSuffix(host, port)}, nil
}

// ParseOrigin reads an origin as it is written in a configuration, such as
// https://play.example.lan or https://crm.example.lan/play.
func ParseOrigin(text string) (Origin, error) {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
		return Origin{}, ErrOrigin
	}
	origin, err := NewOrigin(u.Scheme, u.Host)
	if err != nil {
		return Origin{}, err
	}
	origin.Path = strings.TrimSuffix(u.EscapedPath(), "/")
	if len(origin.Path) > maxPath || !paths.MatchString(origin.Path) {
		return Origin{}, ErrOrigin
	}
	return origin, nil
}

// String returns the origin as links begin.
func (o Origin) String() string { return o.Scheme + "://" + o.Host + o.Path }
