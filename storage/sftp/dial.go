package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"storagesrv/storage"
)

// A dialer makes connections to one server.
type dialer struct {
	config Config
	key    ssh.Signer // nil without a private key
}

// A dialError is why there is no connection.
type dialError struct {
	result string // as for Config.OnDial
	err    error
}

func (e *dialError) Error() string { return e.result + ": " + printable(e.err) }

// Unwrap returns the error of storage's contract that e stands for, not what
// x/crypto or the network said: a timeout in there is not the caller's.
func (e *dialError) Unwrap() error {
	switch e.result {
	case "denied", "hostkey":
		return fs.ErrPermission
	case "timeout":
		return context.DeadlineExceeded
	}
	return storage.ErrUnavailable
}

// dial connects, authenticates and starts SFTP, within twice the timeout. The
// error is a *dialError.
func (d *dialer) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*d.config.Timeout)
	defer cancel()
	host, err := d.verifier()
	if err != nil {
		return nil, &dialError{"unreachable", err} // a file on our side, which may be mended at any moment
	}
	var refusals []error
	for _, algorithms := range host.algorithms {
		c, err := d.connect(ctx, algorithms, host.check)
		if !errors.Is(err, errHostKey) {
			return c, asDialError(err)
		}
		refusals = append(refusals, err)
	}
	return nil, &dialError{"hostkey", errors.Join(refusals...)}
}

func asDialError(err error) error {
	var e *dialError
	switch {
	case err == nil || errors.As(err, &e):
		return err
	case isTimeout(err):
		return &dialError{"timeout", err}
	}
	return &dialError{"unreachable", err}
}

func (d *dialer) verifier() (*verifier, error) {
	if d.config.HostKey != "" {
		return pinnedVerifier(d.config.HostKey, d.config.LegacyAlgorithms), nil
	}
	return knownHostsVerifier(d.config.KnownHosts, d.config.Address, d.config.LegacyAlgorithms)
}

// connect tries one set of host key algorithms. The error wraps errHostKey if
// another set may do.
func (d *dialer) connect(ctx context.Context, algorithms []string, check ssh.HostKeyCallback) (*conn, error) {
	tcp, err := (&net.Dialer{Timeout: d.config.Timeout}).DialContext(ctx, "tcp", d.config.Address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: tcp}
	undo := context.AfterFunc(ctx, func() { w.Close() })
	w.SetDeadline(time.Now().Add(d.config.Timeout))
	c, err := d.shake(w, algorithms, check)
	if !undo() {
		err = ctx.Err()
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	w.SetDeadline(time.Time{})
	return c, nil
}

// shake makes a connection of w, whose deadline bounds every step.
func (d *dialer) shake(w *wire, algorithms []string, check ssh.HostKeyCallback) (*conn, error) {
	challenged := false
	config := d.clientConfig(algorithms, check)
	config.AuthCallback = func(*ssh.ClientAuthContext) (ssh.AuthMethod, error) {
		challenged = true // from here on, only our credentials or the network can fail us
		return nil, nil
	}
	transport, channels, requests, err := ssh.NewClientConn(w, d.config.Address, config)
	if err != nil {
		return nil, explain(err, w, challenged)
	}
	c := newConn(w, ssh.NewClient(transport, channels, requests), d.config.Timeout)
	if c.first, err = c.newSession(); err != nil {
		return nil, explain(err, w, errors.Is(err, errNoSubsystem))
	}
	return c, nil
}

// explain sorts out why a handshake failed.
func explain(err error, w *wire, denied bool) error {
	var negotiation *ssh.AlgorithmNegotiationError
	switch broken := w.broken.Load(); {
	case errors.Is(err, errHostKey):
		return err
	case errors.As(err, &negotiation) && negotiation.What == "host key":
		return fmt.Errorf("%w: the server has none of the types %v", errHostKey, negotiation.SupportedAlgorithms)
	case broken != nil:
		return fmt.Errorf("%w (%w)", err, *broken)
	case denied:
		return &dialError{"denied", err}
	}
	return err
}

func (d *dialer) clientConfig(algorithms []string, check ssh.HostKeyCallback) *ssh.ClientConfig {
	// Supported lists no SHA-1 key exchange, unlike x/crypto's defaults, and
	// begins its ciphers with AES-GCM, the fastest on common hardware.
	offered := ssh.SupportedAlgorithms()
	if d.config.LegacyAlgorithms {
		offered.KeyExchanges = append(offered.KeyExchanges, ssh.InsecureAlgorithms().KeyExchanges...)
		offered.MACs = append(offered.MACs, ssh.InsecureAlgorithms().MACs...)
		offered.Ciphers = append(offered.Ciphers, ssh.InsecureCipherAES128CBC, ssh.InsecureCipherTripleDESCBC)
	}
	return &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: offered.KeyExchanges, MACs: offered.MACs, Ciphers: offered.Ciphers},
		User:              d.config.User,
		Auth:              authMethods(d.key, d.config.Password),
		HostKeyAlgorithms: algorithms,
		HostKeyCallback:   check,
		ClientVersion:     "SSH-2.0-storagesrv",
	}
}

// A wire is the TCP connection below SSH. It remembers what broke it, which
// SSH does not always pass on.
type wire struct {
	net.Conn
	broken atomic.Pointer[error]
	heard  atomic.Int64 // when bytes came last, in Unix nanoseconds
}

// silence returns for how long nothing has come.
func (w *wire) silence() time.Duration { return time.Since(time.Unix(0, w.heard.Load())) }

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.heard.Store(time.Now().UnixNano())
	}
	w.note(err)
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.note(err)
	return n, err
}

func (w *wire) note(err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) { // closed by us: there was another reason
		w.broken.CompareAndSwap(nil, &err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}
