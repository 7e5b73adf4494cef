package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// A verifyKey is a public key, and the one algorithm that it is for: what a
// token says of its algorithm picks among keys, and never how one is used.
type verifyKey struct {
	id, algorithm string // id "": it has none
	key           crypto.PublicKey
}

// A keySet is what an issuer signs tokens with.
type keySet struct {
	keys []verifyKey
	at   time.Time // when it was fetched
}

const (
	// maxJWKS is the length in bytes of a set. Large issuers' take 10 KiB.
	maxJWKS = 256 << 10
	// maxKeys bounds the signatures that are tried for a token without kid.
	maxKeys = 64

	minRSA, maxRSA = 2048, 8192 // bits (RFC 7518, 3.3); and what one check may cost
)

// candidates returns the keys that a token of this algorithm and kid can be signed
// with; all of the algorithm for a token without kid.
func (s *keySet) candidates(algorithm, id string) (keys []crypto.PublicKey) {
	for _, k := range s.keys {
		if k.algorithm == algorithm && (id == "" || id == k.id) {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// A jwk is a JSON Web Key (RFC 7517, section 4; RFC 7518, section 6; RFC 8037).
type jwk struct {
	Type      string   `json:"kty"`
	Use       string   `json:"use"`
	KeyOps    []string `json:"key_ops"`
	Algorithm string   `json:"alg"`
	ID        string   `json:"kid"`
	Curve     string   `json:"crv"`
	N         string   `json:"n"`
	E         string   `json:"e"`
	X         string   `json:"x"`
	Y         string   `json:"y"`
}

// parseJWKS reads a JSON Web Key Set. Keys for other purposes, of other kinds
// or malformed are left out, as RFC 7517, section 5, wants it; perhaps all are.
func parseJWKS(text []byte) (*keySet, error) {
	if len(text) > maxJWKS {
		return nil, fmt.Errorf("larger than %d bytes", maxJWKS)
	}
	var list struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &list); err != nil || list.Keys == nil {
		return nil, errors.New("no JSON Web Key Set")
	}
	set := &keySet{}
	for _, raw := range list.Keys {
		var k jwk
		if json.Unmarshal(raw, &k) != nil {
			continue
		}
		key, algorithm := k.public()
		if key == nil || !k.verifies(algorithm) {
			continue
		}
		if len(set.keys) == maxKeys {
			return nil, fmt.Errorf("more than %d keys", maxKeys)
		}
		set.keys = append(set.keys, verifyKey{k.ID, algorithm, key})
	}
	return set, nil
}

// verifies reports whether a key is meant for signatures of an algorithm.
func (k *jwk) verifies(algorithm string) bool {
	if algorithm == edDSA && k.Algorithm == "Ed25519" { // its name since RFC 9864
		k.Algorithm = edDSA
	}
	return (k.Use == "" || k.Use == "sig") && (k.KeyOps == nil || slices.Contains(k.KeyOps, "verify")) &&
		(k.Algorithm == "" || k.Algorithm == algorithm)
}

// public returns the key and its algorithm; nil if we have no use for it.
func (k *jwk) public() (crypto.PublicKey, string) {
	switch {
	case k.Type == "RSA":
		n, e := number(k.N), number(k.E)
		if minRSA <= n.BitLen() && n.BitLen() <= maxRSA && n.Bit(0) == 1 && 2 <= e.BitLen() && e.BitLen() <= 31 && e.Bit(0) == 1 {
			return &rsa.PublicKey{N: n, E: int(e.Int64())}, rs256
		}
	case k.Type == "EC" && k.Curve == "P-256":
		point := slices.Concat([]byte{4}, octets(k.X), octets(k.Y)) // SEC 1, 2.3.3: uncompressed
		if key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err == nil {
			return key, es256
		}
	case k.Type == "OKP" && k.Curve == "Ed25519":
		if x := octets(k.X); len(x) == ed25519.PublicKeySize {
			return ed25519.PublicKey(x), edDSA
		}
	}
	return nil, ""
}

// octets decodes base64url; what is none is empty, and fits nothing.
func octets(text string) []byte {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return decoded
}

func number(text string) *big.Int { return new(big.Int).SetBytes(octets(text)) }
