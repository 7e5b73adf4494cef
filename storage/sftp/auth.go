package sftp

import (
	"crypto/x509"
	"errors"

	"golang.org/x/crypto/ssh"
)

// parseKey returns the signer of a private key. Without legacy, an RSA key
// signs with SHA-2 only.
func parseKey(pem, passphrase []byte, legacy bool) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(pem)
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		if len(passphrase) == 0 {
			return nil, errors.New("the private key is encrypted, and there is no passphrase")
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(pem, passphrase)
	}
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errors.New("wrong passphrase for the private key")
	}
	if err != nil {
		return nil, err
	}
	if rsa, ok := signer.(ssh.AlgorithmSigner); ok && !legacy && signer.PublicKey().Type() == ssh.KeyAlgoRSA {
		return ssh.NewSignerWithAlgorithms(rsa, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
	}
	return signer, nil
}

// authMethods returns how to log in once. key may be nil and password empty.
func authMethods(key ssh.Signer, password string) []ssh.AuthMethod {
	var methods []ssh.AuthMethod
	if key != nil {
		methods = append(methods, ssh.PublicKeys(key))
	}
	if password != "" {
		methods = append(methods, ssh.Password(password), ssh.KeyboardInteractive(answerOnce(password)))
	}
	return methods
}

// answerOnce answers the first prompt, if it is the only one and its answer is
// not to be echoed, with password. A second round would ask for something
// else, a one-time code perhaps, or mean that the password was wrong.
func answerOnce(password string) ssh.KeyboardInteractiveChallenge {
	answered := false
	return func(_, _ string, prompts []string, echo []bool) ([]string, error) {
		switch {
		case len(prompts) == 0: // only something to show to a human
			return nil, nil
		case answered || len(prompts) > 1 || echo[0]:
			return nil, errors.New("the server asks for more than a password")
		}
		answered = true
		return []string{password}, nil
	}
}
