package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/url"
	"strconv"
	"time"
)

// A Link is what whoever holds it may play until it expires.
type Link struct {
	Origin   Origin    // where it leads; its signature covers the host alone
	CallID   string    // valid as a call's, which is for the caller to see to
	FileID   string    // and as a file's; "" if none is named
	Download bool      // the recording comes as an attachment
	Expires  time.Time // in whole seconds
	Subject  string    // whom it is for, as Printable returns it; "" if nobody said
}

// Path is the path of a link below its origin.
func (l Link) Path() string { return "/calls/file/" + l.CallID + "/signed" }

// Why a link is not good; tested with errors.Is.
var (
	ErrLinkInvalid = errors.New("the link is none of ours, or was changed")
	ErrLinkExpired = errors.New("the link has expired")
)

// A Key signs links.
type Key struct {
	ID     string // stands in them: at most 64 bytes
	Secret []byte // at least 32 bytes
}

// KeysConfig is what links are signed and verified with.
type KeysConfig struct {
	Keys       []Key            // the first signs, all verify; at least one
	MaxExpires time.Duration    // how long a link may be good
	Failures   *Failures        // counts invalid links
	Now        func() time.Time // nil: time.Now
}

// Keys sign links and verify them. They are safe for concurrent use.
type Keys struct{ config KeysConfig }

// NewKeys returns keys that sign with the first of them.
func NewKeys(config KeysConfig) *Keys {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Keys{config}
}

// MaxExpires is how long a link may be good.
func (k *Keys) MaxExpires() time.Duration { return k.config.MaxExpires }

// DefaultExpires is how long a link is good if nobody says.
const DefaultExpires = time.Hour

// ErrExpires is the error of a time that links are never good for.
var ErrExpires = errors.New("links are not good for so long, or so short")

// Expires returns when a link ends that is to be good for some time from now
// on; 0 stands for the default.
func (k *Keys) Expires(lifetime time.Duration) (time.Time, error) {
	if lifetime == 0 {
		lifetime = min(DefaultExpires, k.config.MaxExpires)
	}
	if lifetime < time.Second || lifetime > k.config.MaxExpires {
		return time.Time{}, ErrExpires
	}
	return time.Unix(k.config.Now().Add(lifetime).Unix(), 0), nil
}

// Sign returns the URL of a link.
func (k *Keys) Sign(l Link) string {
	key := k.config.Keys[0]
	return l.Origin.String() + l.Path() + "?" + l.query(signature{key.mac(forLink, l), key.ID, l.Subject})
}

// Verify returns the link to a call whose query string this is, if it was signed
// for this origin. If the link was good once, its error is ErrLinkExpired; any
// other error is ErrLinkInvalid, and comes without a link.
//
// A query string is valid only as Sign spells it: what is added, doubled, put
// in another order or encoded in another way makes it invalid.
func (k *Keys) Verify(origin Origin, callID, query string) (Link, error) {
	l, _, err := k.verify(origin, callID, query)
	return l, err
}

func (k *Keys) verify(origin Origin, callID, query string) (Link, Key, error) {
	l, sign, ok := parseQuery(query)
	if !ok {
		return Link{}, Key{}, ErrLinkInvalid
	}
	l.Origin, l.CallID = origin, callID
	key, known := k.find(sign.keyID)
	if !known || !hmac.Equal(sign.mac, key.mac(forLink, l)) {
		return Link{}, Key{}, ErrLinkInvalid
	}
	if !k.config.Now().Before(l.Expires) {
		return l, key, ErrLinkExpired
	}
	return l, key, nil
}

func (k *Keys) find(id string) (Key, bool) {
	for _, key := range k.config.Keys {
		if key.ID == id {
			return key, true
		}
	}
	return Key{}, false
}

// A signature is what a link has to prove itself by.
type signature struct {
	mac     []byte
	keyID   string
	subject string
}

// String puts the parts, of which the subject may have any length, into one
// text for a URL.
func (s signature) String() string {
	b := append(append([]byte(nil), s.mac...), byte(len(s.keyID)))
	return base64.RawURLEncoding.EncodeToString(append(append(b, s.keyID...), s.subject...))
}

func parseSignature(text string) (s signature, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < sha256.Size+1 || len(b) < sha256.Size+1+int(b[sha256.Size]) {
		return signature{}, false
	}
	rest, end := b[sha256.Size+1:], int(b[sha256.Size])
	return signature{b[:sha256.Size], string(rest[:end]), string(rest[end:])}, true
}

// query is the only spelling of a link's query string.
func (l Link) query(s signature) string {
	query := "expires=" + strconv.FormatInt(l.Expires.Unix(), 10) + "&sign=" + s.String()
	if l.FileID != "" {
		query += "&file_id=" + l.FileID
	}
	if l.Download {
		query += "&download=1"
	}
	return query
}

// maxQuery is more than the longest query that is signed.
const maxQuery = 1024

// parseQuery reads what Link.query spells, and nothing else.
func parseQuery(query string) (l Link, s signature, ok bool) {
	if len(query) > maxQuery {
		return Link{}, signature{}, false
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Link{}, signature{}, false
	}
	expires, err := strconv.ParseInt(values.Get("expires"), 10, 64)
	if err != nil {
		return Link{}, signature{}, false
	}
	if s, ok = parseSignature(values.Get("sign")); !ok {
		return Link{}, signature{}, false
	}
	l = Link{FileID: values.Get("file_id"), Download: values.Has("download"), Expires: time.Unix(expires, 0), Subject: s.subject}
	return l, s, l.query(s) == query
}

// What a MAC is for: one that is made for something is no good for another.
const (
	forLink       = "storagesrv signed link 1"
	forCookie     = "storagesrv cookie of a signed link 1"
	forCookieName = "storagesrv cookie name of a signed link 1"
)

// mac authenticates a link and what else it has to hold: HMAC-SHA256 over all
// of it. Each part comes behind its length, so that no two links are the same
// to it. A file id is never empty: that stands for none.
func (k Key) mac(purpose string, l Link) []byte {
	mac := hmac.New(sha256.New, k.Secret)
	download := ""
	if l.Download {
		download = "1"
	}
	var length [8]byte
	for _, part := range []string{purpose, l.Origin.Host, l.CallID, l.FileID, download, strconv.FormatInt(l.Expires.Unix(), 10), k.ID, l.Subject} {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}
