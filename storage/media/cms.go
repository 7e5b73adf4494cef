package media

import (
	"bytes"
	"encoding/base64"
)

// cmsTypes are the object identifiers, as DER has them, of CMS content that is
// ciphertext: enveloped and encrypted data (RFC 5652, sections 6 and 8), and
// authenticated-enveloped data (RFC 5083).
var cmsTypes = []string{
	"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x03",
	"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x06",
	"\x06\x0B\x2A\x86\x48\x86\xF7\x0D\x01\x09\x10\x01\x17",
}

// isCMS checks for a ContentInfo in DER or BER: a sequence, its length in 1 to
// 5 bytes, and the type of the content.
func isCMS(b []byte) bool {
	if len(b) < 2 || b[0] != 0x30 {
		return false
	}
	n := 2
	if b[1] > 0x80 {
		n += int(b[1] & 0x7F)
	}
	for _, id := range cmsTypes {
		if n <= 2+4 && bytes.HasPrefix(tail(b, n), []byte(id)) {
			return true
		}
	}
	return false
}

// isPEM checks for CMS in the armour of RFC 7468 or under its older name.
func isPEM(text []byte) bool {
	for _, label := range []string{"CMS", "PKCS7"} {
		body, ok := bytes.CutPrefix(text, []byte("-----BEGIN "+label+"-----"))
		if ok && isCMS(decodeStart(body)) {
			return true
		}
	}
	return false
}

// isSMIME checks for CMS in a mail (RFC 8551, section 3.3).
func isSMIME(text []byte) bool {
	text = text[:min(len(text), 2<<10)]
	if !bytes.Contains(text, []byte("pkcs7-mime")) {
		return false
	}
	_, body, _ := bytes.Cut(bytes.ReplaceAll(text, []byte("\r"), nil), []byte("\n\n"))
	return isCMS(decodeStart(body))
}

// decodeStart decodes the first 48 characters of base64 in b.
func decodeStart(b []byte) []byte {
	b = bytes.Join(bytes.Fields(b[:min(len(b), 256)]), nil)
	out := make([]byte, 36)
	n, _ := base64.StdEncoding.Decode(out, b[:min(len(b), 48)])
	return out[:n]
}
