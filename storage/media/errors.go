package media

import (
	"errors"
	"fmt"
)

// What Identify answers instead of a Format, for errors.Is.
var (
	// ErrUnrecognized: the bytes are not provably media. Raw ciphertext has no
	// mark and ends here too.
	ErrUnrecognized = errors.New("not provably media")
	// ErrEmpty: nothing is recorded, or nothing yet: 0 bytes or a bare header.
	ErrEmpty = errors.New("nothing recorded")
	// ErrEncrypted: known ciphertext. It always comes as an *EncryptedError.
	ErrEncrypted = errors.New("encrypted")
)

// EncryptedError says by what a recording is encrypted. errors.Is(err,
// ErrEncrypted) holds for it.
type EncryptedError struct {
	Scheme string // "OpenSSL enc", "age", "OpenPGP", "MPEG Common Encryption", ...
}

func (e *EncryptedError) Error() string { return "encrypted: " + e.Scheme }

// Is makes every EncryptedError an ErrEncrypted.
func (e *EncryptedError) Is(target error) bool { return target == ErrEncrypted }

// unrecognized is an ErrUnrecognized that says what is missing for a proof.
func unrecognized(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnrecognized, fmt.Sprintf(format, args...))
}

// isVerdict reports whether err is about what was read, not a failed read.
func isVerdict(err error) bool {
	return errors.Is(err, ErrUnrecognized) || errors.Is(err, ErrEncrypted) || errors.Is(err, ErrEmpty)
}
