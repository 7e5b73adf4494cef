package access_test

import (
	"strings"
	"testing"

	"storagesrv/cmd/storagesrv/internal/access"
)

func TestParseOrigin(t *testing.T) {
	for text, want := range map[string]string{
		"https://play.example.lan":                   "https://play.example.lan",
		"HTTPS://Play.Example.LAN:443/":              "https://play.example.lan",
		"https://play.example.lan:80":                "https://play.example.lan:80",
		"http://10.1.2.3:80":                         "http://10.1.2.3",
		"http://10.1.2.3:8080/play/":                 "http://10.1.2.3:8080/play",
		"http://[FD00::1]:8080/a/b":                  "http://[fd00::1]:8080/a/b",
		"https://crm/~play/v1.2":                     "https://crm/~play/v1.2",
		"":                                           "",
		"play.example.lan":                           "",
		"//play.example.lan":                         "",
		"ftp://play.example.lan":                     "",
		"https://":                                   "",
		"https://:8080":                              "",
		"https://play.example.lan:":                  "",
		"https://play.example.lan:0":                 "",
		"https://play.example.lan:08":                "",
		"https://user@play.example.lan":              "",
		"https://play.example.lan?":                  "",
		"https://play.example.lan/?a=b":              "",
		"https://play.example.lan/#a":                "",
		"https://play.example.lan//":                 "",
		"https://play.example.lan/a/../b":            "",
		"https://play.example.lan/.well-known":       "",
		"https://play.example.lan/a%20b":             "",
		"https://play.example.lan/a;b":               "",
		"https://pläy.example.lan":                   "",
		"https://-play":                              "",
		"https://" + strings.Repeat("a", 300):        "",
		"https://play/" + strings.Repeat("a", 1<<10): "",
	} {
		origin, err := access.ParseOrigin(text)
		if (err == nil) != (want != "") || err == nil && origin.String() != want {
			t.Errorf("%q: %v, %v", text, origin, err)
		}
	}
}
