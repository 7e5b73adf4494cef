package sftptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// NewHostKey makes a key of type "ed25519", "ecdsa" or "rsa".
func NewHostKey(keyType string) (ssh.Signer, error) {
	key, err := newKey(keyType)
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(key)
}

func newKey(keyType string) (crypto.Signer, error) {
	switch keyType {
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("unknown key type %q", keyType)
}

// newKeyPEM makes an Ed25519 key.
func newKeyPEM() ([]byte, ssh.PublicKey, error) {
	key, err := newKey("ed25519")
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, nil, err
	}
	public, err := ssh.NewPublicKey(key.Public())
	return pem.EncodeToMemory(block), public, err
}
