package access_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
)

var (
	signedAt = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	home     = access.Origin{Scheme: "https", Host: "play.example.lan"}
	october  = access.Key{ID: "2026-10", Secret: []byte(strings.Repeat("october.", 4))}
	november = access.Key{ID: "2026-11", Secret: []byte(strings.Repeat("november", 4))}
)

// A clock is what time it is.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// keysAt returns keys that believe a clock.
func keysAt(c *clock, keys ...access.Key) *access.Keys {
	return access.NewKeys(access.KeysConfig{Keys: keys, MaxExpires: 24 * time.Hour, Failures: access.NewFailures(), Now: c.now})
}

func links() map[string]access.Link {
	expires := signedAt.Add(time.Hour)
	return map[string]access.Link{
		"plain":      {Origin: home, CallID: "call-1", Expires: expires},
		"a file":     {Origin: home, CallID: "call-1", FileID: "01", Expires: expires},
		"a download": {Origin: home, CallID: "call-1", Download: true, Expires: expires},
		"a subject":  {Origin: home, CallID: "call-1", Expires: expires, Subject: "Anna Müller <anna@example.lan>"},
		"everything": {Origin: home, CallID: strings.Repeat("c", 64), FileID: strings.Repeat("f", 64), Download: true, Expires: expires, Subject: strings.Repeat("s", 256)},
	}
}

// queryOf returns the query string of a signed link.
func queryOf(t testing.TB, url string) string {
	t.Helper()
	_, query, found := strings.Cut(url, "?")
	if !found {
		t.Fatalf("no query in %s", url)
	}
	return query
}

func TestALinkIsWhatWasSigned(t *testing.T) {
	keys := keysAt(&clock{signedAt}, november)
	for name, link := range links() {
		t.Run(name, func(t *testing.T) {
			url := keys.Sign(link)
			if !strings.HasPrefix(url, "https://play.example.lan/calls/file/"+link.CallID+"/signed?expires=1793883600&sign=") {
				t.Errorf("signed as %s", url)
			}
			got, err := keys.Verify(home, link.CallID, queryOf(t, url))
			if got.Expires = got.Expires.UTC(); err != nil || got != link {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestALinkBelowAPath(t *testing.T) {
	keys := keysAt(&clock{signedAt}, november)
	link := links()["plain"]
	link.Origin.Path = "/play"
	if url := keys.Sign(link); !strings.HasPrefix(url, "https://play.example.lan/play/calls/file/call-1/signed?") {
		t.Errorf("signed as %s", url)
	}
}

func TestALinkIsNoOtherLink(t *testing.T) {
	keys := keysAt(&clock{signedAt}, november, october)
	link := links()["a file"]
	query := queryOf(t, keys.Sign(link))
	sign := signOf(query)
	forged := sign[:len(sign)-1] + "AAAA"
	for name, c := range map[string]struct {
		host, call, query string
	}{
		"another call":       {home.Host, "call-2", query},
		"another host":       {"evil.example.lan", "call-1", query},
		"another port":       {home.Host + ":8443", "call-1", query},
		"another file":       {home.Host, "call-1", strings.Replace(query, "file_id=01", "file_id=02", 1)},
		"no file":            {home.Host, "call-1", strings.Replace(query, "&file_id=01", "", 1)},
		"an empty file":      {home.Host, "call-1", strings.Replace(query, "file_id=01", "file_id=", 1)},
		"the file twice":     {home.Host, "call-1", query + "&file_id=01"},
		"a later end":        {home.Host, "call-1", strings.Replace(query, "1793883600", "1793883601", 1)},
		"a sign before":      {home.Host, "call-1", strings.Replace(query, "=1793883600", "=%2B1793883600", 1)},
		"a zero before":      {home.Host, "call-1", strings.Replace(query, "=1793883600", "=01793883600", 1)},
		"a download":         {home.Host, "call-1", query + "&download=1"},
		"another parameter":  {home.Host, "call-1", query + "&a=b"},
		"one in front":       {home.Host, "call-1", "a=b&" + query},
		"an end":             {home.Host, "call-1", query + "&"},
		"another order":      {home.Host, "call-1", "file_id=01&" + strings.TrimSuffix(query, "&file_id=01")},
		"other encoding":     {home.Host, "call-1", strings.Replace(query, "file_id=01", "file_id=%301", 1)},
		"other separator":    {home.Host, "call-1", strings.Replace(query, "&file_id", ";file_id", 1)},
		"padding":            {home.Host, "call-1", strings.Replace(query, sign, sign+"=", 1)},
		"a line break":       {home.Host, "call-1", strings.Replace(query, sign, sign+"%0A", 1)},
		"longer":             {home.Host, "call-1", strings.Replace(query, sign, forged, 1)},
		"no signature":       {home.Host, "call-1", strings.Replace(query, "&sign="+sign, "", 1)},
		"an empty signature": {home.Host, "call-1", strings.Replace(query, sign, "", 1)},
		"nothing":            {home.Host, "call-1", ""},
		"much":               {home.Host, "call-1", query + strings.Repeat("&a=b", 1<<18)},
		"no number":          {home.Host, "call-1", strings.Replace(query, "1793883600", "99999999999999999999", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := keys.Verify(access.Origin{Scheme: "https", Host: c.host}, c.call, c.query)
			if !errors.Is(err, access.ErrLinkInvalid) || got != (access.Link{}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	if _, err := keys.Verify(home, "call-1", query); err != nil {
		t.Error(err)
	}
}

func signOf(query string) string {
	_, rest, _ := strings.Cut(query, "sign=")
	sign, _, _ := strings.Cut(rest, "&")
	return sign
}

// The last character of a link in base64 may have bits that no byte needs.
func TestEveryChangedCharacterOfAQueryIsNoticed(t *testing.T) {
	keys := keysAt(&clock{signedAt}, november)
	const characters = "ABYZabyz0189-_=&+/%.;? "
	for name, link := range links() {
		query := queryOf(t, keys.Sign(link))
		for i := range query {
			changed := []string{query[:i] + query[i+1:]}
			for _, c := range []byte(characters) {
				if c != query[i] {
					changed = append(changed, query[:i]+string(c)+query[i+1:])
				}
				changed = append(changed, query[:i]+string(c)+query[i:])
			}
			for _, changed := range changed {
				if got, err := keys.Verify(home, link.CallID, changed); changed != query && !errors.Is(err, access.ErrLinkInvalid) {
					t.Fatalf("%s: %s for %s: %+v, %v", name, changed, query, got, err)
				}
			}
		}
	}
}

func TestPartsOfALinkDoNotRunIntoEachOther(t *testing.T) {
	keys := keysAt(&clock{signedAt}, november)
	sign := func(call, file, subject string) string {
		link := access.Link{Origin: home, CallID: call, FileID: file, Subject: subject, Expires: signedAt.Add(time.Hour)}
		b, err := base64.RawURLEncoding.DecodeString(signOf(queryOf(t, keys.Sign(link))))
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:32])
	}
	seen := map[string]string{}
	for _, parts := range [][3]string{{"ab", "", ""}, {"a", "b", ""}, {"a", "", "b"}, {"", "ab", ""}, {"", "", "ab"}, {"a", "b", "c"}, {"abc", "", ""}} {
		mac, text := sign(parts[0], parts[1], parts[2]), fmt.Sprintf("%q", parts)
		if other, twice := seen[mac]; twice {
			t.Errorf("%s and %s have the same signature", text, other)
		}
		seen[mac] = text
	}
}

func TestKeysAreRotatedWithoutAnInterruption(t *testing.T) {
	now := &clock{signedAt}
	link := links()["plain"]
	before, during, after := keysAt(now, october), keysAt(now, november, october), keysAt(now, november)
	early, late := queryOf(t, before.Sign(link)), queryOf(t, during.Sign(link))
	for _, c := range []struct {
		name  string
		keys  *access.Keys
		query string
		valid bool
	}{
		{"old by old", before, early, true},
		{"old by both", during, early, true},
		{"new by both", during, late, true},
		{"new by new", after, late, true},
		{"old by new", after, early, false},
		{"new by old", before, late, false},
	} {
		if _, err := c.keys.Verify(home, link.CallID, c.query); (err == nil) != c.valid || !c.valid && !errors.Is(err, access.ErrLinkInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	twins := keysAt(now, november, access.Key{ID: october.ID, Secret: november.Secret})
	sign, err := base64.RawURLEncoding.DecodeString(signOf(late))
	if err != nil {
		t.Fatal(err)
	}
	renamed := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(sign), november.ID, october.ID, 1)))
	if _, err := twins.Verify(home, link.CallID, strings.Replace(late, signOf(late), renamed, 1)); !errors.Is(err, access.ErrLinkInvalid) {
		t.Errorf("under the id of another key with the same secret: %v", err)
	}
	nobody := queryOf(t, keysAt(now, access.Key{}).Sign(link))
	if _, err := during.Verify(home, link.CallID, nobody); !errors.Is(err, access.ErrLinkInvalid) {
		t.Errorf("an unknown key, and no secret: %v", err)
	}
	impostor := keysAt(now, access.Key{ID: november.ID, Secret: october.Secret})
	if _, err := impostor.Verify(home, link.CallID, late); !errors.Is(err, access.ErrLinkInvalid) {
		t.Errorf("a key of the same id: %v", err)
	}
}

func TestALinkEndsWhenItSaysSo(t *testing.T) {
	now := &clock{signedAt}
	keys := keysAt(now, november)
	for _, c := range []struct {
		lifetime, good time.Duration
		err            error
	}{
		{0, time.Hour, nil},
		{time.Second, time.Second, nil},
		{24 * time.Hour, 24 * time.Hour, nil},
		{24*time.Hour + 1, 0, access.ErrExpires},
		{-time.Second, 0, access.ErrExpires},
		{time.Millisecond, 0, access.ErrExpires},
	} {
		expires, err := keys.Expires(c.lifetime)
		if !errors.Is(err, c.err) || err == nil && !expires.Equal(signedAt.Add(c.good)) {
			t.Errorf("%v: %v, %v", c.lifetime, expires, err)
		}
	}
	short := access.NewKeys(access.KeysConfig{Keys: []access.Key{november}, MaxExpires: time.Minute, Now: now.now})
	if expires, err := short.Expires(0); err != nil || !expires.Equal(signedAt.Add(time.Minute)) {
		t.Errorf("at most a minute: %v, %v", expires, err)
	}
	link := links()["plain"]
	query := queryOf(t, keys.Sign(link))
	now.Time = link.Expires.Add(-time.Nanosecond)
	if _, err := keys.Verify(home, link.CallID, query); err != nil {
		t.Errorf("before the end: %v", err)
	}
	now.Time = link.Expires
	if got, err := keys.Verify(home, link.CallID, query); !errors.Is(err, access.ErrLinkExpired) || got.CallID != "call-1" {
		t.Errorf("at the end: %+v, %v", got, err)
	}
	if _, err := keys.Verify(home, "call-2", query); !errors.Is(err, access.ErrLinkInvalid) {
		t.Errorf("another call after the end: %v", err)
	}
}

// ask makes a request for a link with cookies.
func ask(query string, cookies ...*http.Cookie) access.Request {
	r := httptest.NewRequest(http.MethodGet, "/calls/file/call-1/signed?"+query, nil)
	for _, c := range cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	return access.Request{HTTP: r, Client: "192.0.2.1", CallID: "call-1"}
}

func TestWhoBeganBeforeTheEndGoesOnByACookie(t *testing.T) {
	now := &clock{signedAt}
	keys := keysAt(now, november, october)
	link := links()["a subject"]
	query := queryOf(t, keys.Sign(link))
	held, err := keys.Admit(ask(query), home)
	if err != nil || held.Cookie == nil || held.Caller() != (access.Caller{Name: link.Subject, Via: access.ByLink}) {
		t.Fatalf("%+v, %v", held, err)
	}
	cookie := held.Cookie
	if cookie.Path != "/calls/file/call-1/signed" || !cookie.HttpOnly || cookie.MaxAge != 25*3600 || strings.Contains(query, cookie.Value) {
		t.Errorf("cookie %v", cookie)
	}
	if held, err := keys.Admit(ask(query, cookie), home); err != nil || held.Cookie != nil {
		t.Errorf("set again for who has it: %+v, %v", held, err)
	}
	other := links()["plain"]
	otherHeld, err := keys.Admit(ask(queryOf(t, keys.Sign(other))), home)
	if err != nil {
		t.Fatal(err)
	}
	rotated := keysAt(now, november)

	now.Time = link.Expires.Add(time.Hour)
	for name, c := range map[string]struct {
		keys    *access.Keys
		cookies []*http.Cookie
		good    bool
	}{
		"with it":                    {keys, []*http.Cookie{cookie}, true},
		"with a wrong one before it": {keys, []*http.Cookie{{Name: cookie.Name, Value: "x"}, cookie}, true},
		"with the old key gone":      {rotated, []*http.Cookie{cookie}, true},
		"without":                    {keys, nil, false},
		"with that of another link":  {keys, []*http.Cookie{otherHeld.Cookie}, false},
		"renamed":                    {keys, []*http.Cookie{{Name: cookie.Name, Value: otherHeld.Cookie.Value}}, false},
		"empty":                      {keys, []*http.Cookie{{Name: cookie.Name}}, false},
		"with the signature":         {keys, []*http.Cookie{{Name: cookie.Name, Value: signOf(query)}}, false},
	} {
		held, err := c.keys.Admit(ask(query, c.cookies...), home)
		if (err == nil) != c.good || !c.good && !errors.Is(err, access.ErrLinkExpired) || held.Cookie != nil {
			t.Errorf("%s: %+v, %v", name, held, err)
		}
	}
	changed := strings.Replace(query, "expires=1793883600", "expires=1793883601", 1)
	if _, err := keys.Admit(ask(changed, cookie), home); !errors.Is(err, access.ErrLinkInvalid) {
		t.Errorf("a changed link with the cookie: %v", err)
	}
	now.Time = link.Expires.Add(24 * time.Hour)
	if _, err := keys.Admit(ask(query, cookie), home); !errors.Is(err, access.ErrLinkExpired) {
		t.Errorf("long after the end: %v", err)
	}
}

func TestTheCookieSuitsTheConnection(t *testing.T) {
	keys := keysAt(&clock{signedAt}, november)
	for scheme, want := range map[string]string{
		"http":  "; Path=/play/calls/file/call-1/signed; Max-Age=90000; HttpOnly; SameSite=Lax",
		"https": "; Path=/play/calls/file/call-1/signed; Max-Age=90000; HttpOnly; Secure; SameSite=None; Partitioned",
	} {
		origin := access.Origin{Scheme: scheme, Host: home.Host, Path: "/play"}
		link := links()["plain"]
		held, err := keys.Admit(ask(queryOf(t, keys.Sign(link))), origin)
		if err != nil || !strings.HasSuffix(held.Cookie.String(), want) || held.Cookie.Valid() != nil || len(held.Cookie.Name+held.Cookie.Value) > 48 {
			t.Errorf("%s: %v, %v", scheme, held.Cookie, err)
		}
	}
}

func TestInvalidLinksAreGuessesAndExpiredOnesAreNot(t *testing.T) {
	now := &clock{signedAt}
	keys := keysAt(now, november)
	good := links()["plain"]
	old := good
	old.Expires = signedAt.Add(-time.Hour)
	for range 1000 {
		if _, err := keys.Admit(ask(queryOf(t, keys.Sign(old))), home); !errors.Is(err, access.ErrLinkExpired) {
			t.Fatal(err)
		}
	}
	for guesses := 0; ; guesses++ {
		_, err := keys.Admit(ask("expires=1793883600&sign=AAAA"), home)
		if errors.Is(err, access.ErrTooManyFailures) {
			break
		}
		if !errors.Is(err, access.ErrLinkInvalid) || guesses > 1000 {
			t.Fatalf("%d guesses: %v", guesses, err)
		}
	}
	if _, err := keys.Admit(ask(queryOf(t, keys.Sign(good))), home); err != nil {
		t.Errorf("a good link from the same address: %v", err)
	}
}

func TestPrintable(t *testing.T) {
	for name, want := range map[string]string{
		"":                           "",
		"Anna Müller":                "Anna Müller",
		"a\r\nb\x00c":                "a��b�c",
		"a\u202eb\u00a0":             "a�b�",
		"\xff":                       "�",
		strings.Repeat("x", 256):     strings.Repeat("x", 256),
		strings.Repeat("x", 257):     strings.Repeat("x", 253) + "…",
		strings.Repeat("é", 1<<20):   strings.Repeat("é", 126) + "…",
		strings.Repeat("\x01", 1000): strings.Repeat("�", 84) + "…",
	} {
		if got := access.Printable(name); got != want || len(got) > 256 {
			t.Errorf("%.40q: %d bytes, %.40q", name, len(got), got)
		}
	}
}

// FuzzVerify looks for a link that is good and that nobody has signed.
func FuzzVerify(f *testing.F) {
	keys := keysAt(&clock{signedAt}, november, october)
	signed := map[string]bool{}
	for _, link := range links() {
		query := queryOf(f, keys.Sign(link))
		signed[link.CallID+"?"+query] = true
		f.Add(link.CallID, query)
	}
	f.Add("call-1", "expires=1&sign=")
	f.Add("call-1", "expires=-1&sign="+strings.Repeat("A", 60)+"&file_id=%00&download")
	f.Fuzz(func(t *testing.T, callID, query string) {
		link, err := keys.Verify(home, callID, query)
		switch {
		case err == nil:
			if !signed[callID+"?"+query] {
				t.Errorf("good: %q, %q: %+v", callID, query, link)
			}
		case !errors.Is(err, access.ErrLinkInvalid) || link != (access.Link{}):
			t.Errorf("%+v, %v", link, err)
		}
	})
}
