package sftp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// errHostKey marks a server that is not the one we trust.
var errHostKey = errors.New("host key refused")

// A verifier checks the host key of one server for one dial.
type verifier struct {
	// algorithms are the host key algorithms to ask for: a set for each
	// handshake to try, as a server shows only one of its keys in each.
	algorithms [][]string
	check      ssh.HostKeyCallback
}

// maxKnownHosts bounds a known_hosts file, which is read for each dial.
const maxKnownHosts = 8 << 20

// knownHostsVerifier trusts the keys that file has for address. It asks for
// the types of these keys only, or a server that prefers another type would
// look like an impostor.
func knownHostsVerifier(file, address string, legacy bool) (*verifier, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, fmt.Errorf("known_hosts: %w", err)
	case !info.Mode().IsRegular() || info.Size() > maxKnownHosts:
		return nil, fmt.Errorf("known_hosts: %s is not a file of at most %d bytes", file, maxKnownHosts)
	}
	db, err := knownhosts.NewDB(file)
	if err != nil {
		return nil, fmt.Errorf("known_hosts: %w", err)
	}
	supported := hostKeyAlgorithms(legacy)
	wanted := db.HostKeyAlgorithms(address)
	if slices.ContainsFunc(db.HostKeys(address), func(k knownhosts.PublicKey) bool { return k.Cert }) {
		// An authority may sign keys of other types than its own.
		wanted = append(wanted, slices.DeleteFunc(slices.Clone(supported), func(a string) bool { return !isCertificate(a) })...)
	}
	algorithms := slices.DeleteFunc(wanted, func(a string) bool { return !slices.Contains(supported, a) })
	if len(algorithms) == 0 {
		algorithms = supported // the host is unknown: learn the key that the refusal is to name
	}
	trusted := db.HostKeyCallback()
	return &verifier{[][]string{algorithms}, func(host string, remote net.Addr, key ssh.PublicKey) error {
		return refusal(trusted(host, remote, key), host, key)
	}}, nil
}

// refusal puts in words for an operator why known_hosts refuses key.
func refusal(err error, host string, key ssh.PublicKey) error {
	if err == nil {
		return nil
	}
	offered := fmt.Sprintf("offered %s %s", key.Type(), ssh.FingerprintSHA256(key))
	var mismatch *xknownhosts.KeyError
	if !errors.As(err, &mismatch) {
		return fmt.Errorf("%w: %w: %s", errHostKey, err, offered)
	}
	if len(mismatch.Want) == 0 {
		return fmt.Errorf("%w: %s is not in known_hosts: %s", errHostKey, host, offered)
	}
	var expected []string
	for _, known := range mismatch.Want {
		expected = append(expected, known.Key.Type()+" "+ssh.FingerprintSHA256(known.Key))
	}
	return fmt.Errorf("%w: expected %s, %s", errHostKey, strings.Join(expected, " or "), offered)
}

// pinnedVerifier trusts the one key of the given fingerprint, whose type
// nobody knows: it tries each family of types in a handshake of its own.
func pinnedVerifier(fingerprint string, legacy bool) *verifier {
	families := make([][]string, 3)
	for _, algorithm := range hostKeyAlgorithms(legacy) {
		switch {
		case isCertificate(algorithm):
		case algorithm == ssh.KeyAlgoED25519:
			families[0] = append(families[0], algorithm)
		case strings.HasPrefix(algorithm, "ecdsa-"):
			families[1] = append(families[1], algorithm)
		default:
			families[2] = append(families[2], algorithm)
		}
	}
	return &verifier{families, func(_ string, _ net.Addr, key ssh.PublicKey) error {
		if offered := ssh.FingerprintSHA256(key); offered != fingerprint {
			return fmt.Errorf("%w: expected %s, offered %s %s", errHostKey, fingerprint, key.Type(), offered)
		}
		return nil
	}}
}

// checkFingerprint refuses what ssh.FingerprintSHA256 never returns.
func checkFingerprint(s string) error {
	sum, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimPrefix(s, "SHA256:"))
	if err != nil || len(sum) != 32 || !strings.HasPrefix(s, "SHA256:") {
		return errors.New(`host_key: must be a fingerprint: "SHA256:" and 43 characters of base64`)
	}
	return nil
}

func hostKeyAlgorithms(legacy bool) []string {
	algorithms := ssh.SupportedAlgorithms().HostKeys
	if legacy {
		algorithms = append(algorithms, ssh.InsecureAlgorithms().HostKeys...)
	}
	return algorithms
}

func isCertificate(algorithm string) bool { return strings.Contains(algorithm, "-cert-") }
