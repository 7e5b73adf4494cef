package demo

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"embed"
)

// Content returns all bytes of a recording, the same each time. They are the
// caller's to change.
type Content func() []byte

// samples are made by scripts/samples. Those named .ulaw are G.711 at 8 kHz
// without a header.
//
//go:embed samples
var samples embed.FS

func load(name string) []byte {
	data, err := samples.ReadFile("samples/" + name)
	if err != nil {
		panic(err) // it is built in
	}
	return data
}

func sample(name string) Content { return func() []byte { return load(name) } }

// cut is the first n bytes.
func cut(c Content, n int) Content { return func() []byte { return c()[:n] } }

// enciphered is raw AES-256-CTR behind the first plain bytes.
func enciphered(c Content, plain int) Content {
	return func() []byte {
		b := c()
		encrypt(b[plain:], []byte("storagesrv demo: 32 bytes of key"), make([]byte, aes.BlockSize))
		return b
	}
}

// openSSL is what `openssl enc -aes-256-ctr -pbkdf2 -pass pass:demo` makes of
// c: a mark, 8 bytes of salt, and then ciphertext.
func openSSL(c Content) Content {
	const mark, salt, iterations, keyLen = "Salted__", "the salt", 10_000, 32
	return func() []byte {
		secret, err := pbkdf2.Key(sha256.New, "demo", []byte(salt), iterations, keyLen+aes.BlockSize)
		if err != nil {
			panic(err) // only for lengths that FIPS 140 does not allow
		}
		b := c()
		encrypt(b, secret[:keyLen], secret[keyLen:])
		return append([]byte(mark+salt), b...)
	}
}

func encrypt(b, key, iv []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the keys here are of 32 bytes
	}
	cipher.NewCTR(block, iv).XORKeyStream(b, b)
}
