package media

import (
	"bytes"
	"encoding/binary"
)

// nameCiphertext turns err, why the recording is not media, into an
// EncryptedError if its first bytes are those of known ciphertext.
func nameCiphertext(w *window, err error) error {
	if scheme := ciphertext(w.head, w.size); scheme != "" {
		return &EncryptedError{Scheme: scheme}
	}
	if kind := archive(w.head); kind != "" {
		return unrecognized("a %s archive", kind)
	}
	return err
}

// ciphertext names what encrypted a file of the given size that starts with b, "" if
// nothing known did.
func ciphertext(b []byte, size int64) string {
	text := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF")), " \t\r\n")
	for _, m := range textMarks {
		if bytes.HasPrefix(text, []byte(m.mark)) {
			return m.scheme
		}
	}
	for _, m := range binaryMarks {
		if bytes.HasPrefix(b, []byte(m.mark)) {
			return m.scheme
		}
	}
	switch {
	case isAESCrypt(b):
		return "AES Crypt"
	case isECryptfs(b):
		return "eCryptfs"
	case isEncryptedZIP(b):
		return "ZIP"
	case isCMS(b), isPEM(text), isSMIME(text):
		return "CMS"
	case isOpenPGP(b, size):
		return "OpenPGP"
	}
	return ""
}

type mark struct{ mark, scheme string }

// textMarks start ciphertext wrapped as text.
var textMarks = []mark{
	{"U2FsdGVkX1", "OpenSSL enc"}, // "Salted__" in base64
	{"-----BEGIN AGE ENCRYPTED FILE-----", "age"},
	{"-----BEGIN PGP MESSAGE-----", "OpenPGP"},
	{"vault:v", "HashiCorp Vault transit"},
	{"$ANSIBLE_VAULT;", "Ansible Vault"},
}

// binaryMarks start ciphertext: of openssl-enc(1), age-encryption.org/v1,
// rclone.org/crypt, LUKS 1 and 2, and scrypt(1)'s FORMAT.
var binaryMarks = []mark{
	{"Salted__", "OpenSSL enc"},
	{"age-encryption.org/v1\n", "age"},
	{"RCLONE\x00\x00", "rclone"},
	{"LUKS\xBA\xBE", "LUKS"},
	{"scrypt\x00", "scrypt"},
}

// isAESCrypt knows versions 0 to 3 (aescrypt.com/aes_file_format.html).
func isAESCrypt(b []byte) bool {
	return len(b) >= 5 && string(b[:3]) == "AES" && b[3] <= 3 && (b[3] == 0 || b[4] == 0)
}

// isECryptfs checks the marker of an eCryptfs file: behind a size of 8 bytes a
// random number, then the same XOR a constant (Linux, fs/ecryptfs/crypto.c).
func isECryptfs(b []byte) bool {
	return len(b) >= 16 && binary.BigEndian.Uint32(b[8:])^binary.BigEndian.Uint32(b[12:]) == 0x3C81B7F5
}

// isEncryptedZIP checks the first bit of the first entry's flags (APPNOTE
// 4.4.4).
func isEncryptedZIP(b []byte) bool {
	return len(b) >= 8 && string(b[:4]) == "PK\x03\x04" && b[6]&1 != 0
}

// archive names an archive whose content, encrypted or not, is not playable.
func archive(b []byte) string {
	for _, m := range []mark{
		{"PK\x03\x04", "ZIP"}, {"PK\x05\x06", "ZIP"}, {"7z\xBC\xAF\x27\x1C", "7z"}, {"Rar!\x1A\x07", "RAR"}, {"\x1F\x8B\x08", "gzip"},
	} {
		if bytes.HasPrefix(b, []byte(m.mark)) {
			return m.scheme
		}
	}
	return ""
}
