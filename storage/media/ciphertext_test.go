package media

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestCiphertextIsNamed(t *testing.T) {
	body := string(randomBytes(4096))
	const (
		enveloped = "\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x03\xA0"
		authentic = "\x06\x0B\x2A\x86\x48\x86\xF7\x0D\x01\x09\x10\x01\x17\xA0"
		signed    = "\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02\xA0"
		seipd     = "\xD2\xE9\x01"
	)
	base := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, test := range map[string]struct{ b, scheme string }{
		"openssl":             {"Salted__" + body, "OpenSSL enc"},
		"openssl base64":      {base("Salted__" + body), "OpenSSL enc"},
		"age":                 {"age-encryption.org/v1\n-> X25519 " + body, "age"},
		"age armor":           {"-----BEGIN AGE ENCRYPTED FILE-----\n" + body, "age"},
		"PGP armor":           {"\xEF\xBB\xBF\r\n-----BEGIN PGP MESSAGE-----\n\n" + body, "OpenPGP"},
		"PGP for RSA":         {"\x85\x01\x0C\x03" + body[:8] + "\x01" + body[:258] + seipd + body, "OpenPGP"},
		"PGP for a curve":     {"\x84\x5E\x03" + body[:8] + "\x12" + body[:84] + seipd + body, "OpenPGP"},
		"PGP, new packets":    {"\xC1\xC0\x4C\x03" + body[:8] + "\x01" + body[:258] + seipd + body, "OpenPGP"},
		"PGP, long packets":   {"\xC1\xFF\x00\x00\x01\x0C\x03" + body[:8] + "\x01" + body[:258] + seipd + body, "OpenPGP"},
		"PGP by password":     {"\x8C\x0D\x04\x09\x03\x08" + body[:9] + seipd + body, "OpenPGP"},
		"PGP, old encryption": {"\x8C\x0D\x04\x03\x03\x08" + body[:9] + "\xA7" + body, "OpenPGP"},
		"PGP without a key":   {"\xD2\x10\x01" + body[:15], "OpenPGP"},
		"PGP, version 6":      {"\xC1\x56\x06\x21\x06" + body[:32] + "\x19" + body[:50] + seipd + body, "OpenPGP"},
		"PGP, password, v6":   {"\xC3\x20\x06\x1A\x07\x02\x0B\x03" + body[:26] + seipd + body, "OpenPGP"},
		"PGP, password, v5":   {"\x8C\x20\x05\x09\x02\x03" + body[:28] + "\xD4\xE9\x01" + body, "OpenPGP"},
		"CMS":                 {"\x30\x82\x10\x00" + enveloped + body, "CMS"},
		"CMS, indefinite":     {"\x30\x80" + enveloped + body, "CMS"},
		"CMS with GCM":        {"\x30\x83\x01\x00\x00" + authentic + body, "CMS"},
		"CMS as PEM":          {"-----BEGIN CMS-----\n" + base("\x30\x82\x10\x00"+enveloped+body), "CMS"},
		"PKCS #7 as PEM":      {"-----BEGIN PKCS7-----\r\n" + base("\x30\x82\x10\x00"+enveloped+body), "CMS"},
		"S/MIME":              {"MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime\r\n\r\n" + base("\x30\x82\x10\x00"+enveloped+body), "CMS"},
		"AES Crypt":           {"AES\x02\x00\x00\x1BCREATED_BY" + body, "AES Crypt"},
		"rclone":              {"RCLONE\x00\x00" + body, "rclone"},
		"Vault":               {"vault:v1:" + base(body), "HashiCorp Vault transit"},
		"Ansible":             {"$ANSIBLE_VAULT;1.1;AES256\n", "Ansible Vault"},
		"LUKS":                {"LUKS\xBA\xBE\x00\x02" + body, "LUKS"},
		"scrypt":              {"scrypt\x00\x11" + body, "scrypt"},
		"eCryptfs":            {"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x3C\x81\xB7\xF5" + body, "eCryptfs"},
		"ZIP with a password": {"PK\x03\x04\x14\x00\x09\x00\x08\x00" + body, "ZIP"},

		"signed CMS":          {"\x30\x82\x10\x00" + signed + body, ""},
		"signed CMS as PEM":   {"-----BEGIN CMS-----\n" + base("\x30\x82\x10\x00"+signed+body), ""},
		"ZIP":                 {"PK\x03\x04\x14\x00\x00\x00\x08\x00" + body, ""},
		"7z":                  {"7z\xBC\xAF\x27\x1C\x00\x04" + body, ""},
		"RAR":                 {"Rar!\x1A\x07\x01\x00" + body, ""},
		"PGP key alone":       {"\x85\x01\x0C\x03" + body[:8] + "\x01" + body[:258], ""},
		"PGP, unknown cipher": {"\x8C\x0D\x04\x63\x03\x08" + body[:9] + seipd + body, ""},
		"PGP, other packet":   {"\x8C\x0D\x04\x09\x03\x08" + body[:9] + "\xCB\x10" + body, ""},
		"PGP public key":      {"\x99\x01\x0D\x04" + body, ""},
		"text":                {"I am not encrypted, am I?\n", ""},
	} {
		_, err := identify(t, []byte(test.b))
		var encrypted *EncryptedError
		switch {
		case test.scheme == "" && !errors.Is(err, ErrUnrecognized):
			t.Errorf("%s: %v", name, err)
		case test.scheme != "" && (!errors.As(err, &encrypted) || encrypted.Scheme != test.scheme || !errors.Is(err, ErrEncrypted)):
			t.Errorf("%s: %v, want %s", name, err, test.scheme)
		}
	}
}

func TestArchivesSayWhatTheyAre(t *testing.T) {
	for _, name := range []string{"7z", "RAR"} {
		b := map[string]string{"7z": "7z\xBC\xAF\x27\x1C\x00\x04", "RAR": "Rar!\x1A\x07\x01\x00"}[name]
		if _, err := identify(t, []byte(b)); err == nil || !strings.Contains(err.Error(), name+" archive") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOpenPGPIsNotClaimedForRandomBytes starts every trial as PGP does.
func TestOpenPGPIsNotClaimedForRandomBytes(t *testing.T) {
	source := randomBytes(1 << 20)
	rng := rand.New(rand.NewPCG(11, 12))
	for range 100_000 {
		b := bytes.Clone(source[rng.IntN(len(source)-64):][:64])
		b[0] = "\x85\x84\x8C\xC1\xC3\xD2"[rng.IntN(6)]
		if isOpenPGP(b, 64) {
			t.Fatalf("% x", b)
		}
	}
}
