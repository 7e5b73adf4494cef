// Package sftptest is an SSH server with SFTP over a directory, in this
// process, that misbehaves on demand:
//
//	server, err := sftptest.Start(sftptest.Config{Dir: "testdata"})
//	defer server.Close()
//	store, err := sftp.New(sftp.Config{
//		Address: server.Addr(), User: server.User(), PrivateKey: server.ClientKey(), HostKey: server.Fingerprint(),
//	})
//	server.Set(sftptest.Faults{Frozen: true})
//
// [StartOpenSSH] and its like run real ones, and a [Proxy] stands before any.
package sftptest

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Config says what is served to whom. Only Dir is required.
type Config struct {
	// Dir is what clients see as "/". They can read it and nothing else.
	Dir string
	// User is who may log in: "" means "playback".
	User string
	// Password logs in besides [Server.ClientKey], if it is not empty.
	Password string
	// Prompts, if not empty, makes keyboard-interactive the only way to use
	// Password: it answers each of them. A prompt that starts with "!" is
	// echoed.
	Prompts []string
	// HostKeys are the server's: nil means a new Ed25519 key.
	HostKeys []ssh.Signer
	// Algorithms limits what the server offers.
	Algorithms ssh.Config
}

// A Server serves until Close.
type Server struct {
	config    Config
	root      *os.Root
	listener  net.Listener
	clientKey ssh.PublicKey
	clientPEM []byte
	tasks     sync.WaitGroup

	mu       sync.Mutex
	faults   Faults             // guarded by mu
	changed  chan struct{}      // guarded by mu: closed when faults change
	hostKeys []ssh.Signer       // guarded by mu
	links    map[*link]struct{} // guarded by mu
	dials    int                // guarded by mu
	sent     int                // guarded by mu: pieces
	closed   bool               // guarded by mu
}

// Start starts a server on a free port of 127.0.0.1.
func Start(config Config) (*Server, error) {
	config.User = cmp.Or(config.User, "playback")
	s := &Server{config: config, changed: make(chan struct{}), hostKeys: config.HostKeys, links: make(map[*link]struct{})}
	var err error
	if s.clientPEM, s.clientKey, err = newKeyPEM(); err != nil {
		return nil, err
	}
	if len(s.hostKeys) == 0 {
		key, err := NewHostKey("ed25519")
		if err != nil {
			return nil, err
		}
		s.hostKeys = []ssh.Signer{key}
	}
	if s.root, err = os.OpenRoot(config.Dir); err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		s.root.Close()
		return nil, err
	}
	s.tasks.Go(s.accept)
	return s, nil
}

// Addr returns the server's host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// User returns who may log in.
func (s *Server) User() string { return s.config.User }

// ClientKey returns the private key that logs in, in PEM.
func (s *Server) ClientKey() []byte { return s.clientPEM }

// Fingerprint returns that of the server's first host key.
func (s *Server) Fingerprint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ssh.FingerprintSHA256(s.hostKeys[0].PublicKey())
}

// KnownHosts returns the lines of a known_hosts file for the server.
func (s *Server) KnownHosts() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []byte
	for _, key := range s.hostKeys {
		lines = append(lines, knownhosts.Line([]string{s.Addr()}, key.PublicKey())+"\n"...)
	}
	return lines
}

// SetHostKeys changes the host keys that later connections see.
func (s *Server) SetHostKeys(keys ...ssh.Signer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hostKeys = keys
}

// Dials returns how many TCP connections were made since the start.
func (s *Server) Dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// Connections returns how many TCP connections there are.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.links)
}

// KillConnections breaks all connections there are.
func (s *Server) KillConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.links {
		l.kill()
	}
}

// Close ends the server and returns when nothing of it is left running.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.KillConnections()
	s.tasks.Wait()
	return errors.Join(err, s.root.Close())
}

// spawn runs task on a goroutine that Close waits for, unless Close was called.
// It is for those who may outlive all that Close waits for.
func (s *Server) spawn(task func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.tasks.Go(task)
	}
}

func (s *Server) accept() {
	for {
		tcp, err := s.listener.Accept()
		if err != nil {
			s.KillConnections() // those that Close came too early for
			return
		}
		l := newLink(s, tcp)
		s.mu.Lock()
		s.dials++
		s.links[l] = struct{}{}
		hostKeys := slices.Clone(s.hostKeys)
		s.mu.Unlock()
		s.tasks.Go(func() { s.serve(l, hostKeys) })
	}
}

// serve speaks SSH on one connection, until either side ends it.
func (s *Server) serve(l *link, hostKeys []ssh.Signer) {
	defer func() {
		l.Close()
		s.mu.Lock()
		delete(s.links, l)
		s.mu.Unlock()
	}()
	l.holdAt(BeforeBanner)
	_, channels, requests, err := ssh.NewServerConn(l, s.serverConfig(l, hostKeys))
	if err != nil {
		return
	}
	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(func() { ssh.DiscardRequests(requests) })
	for offered := range channels {
		if offered.ChannelType() != "session" {
			offered.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		tasks.Go(func() { s.serveSession(l, channel, requests) })
	}
}

func (s *Server) serverConfig(l *link, hostKeys []ssh.Signer) *ssh.ServerConfig {
	config := &ssh.ServerConfig{Config: s.config.Algorithms, MaxAuthTries: 6}
	for _, key := range hostKeys {
		config.AddHostKey(key)
	}
	admit := func(user string, known bool) (*ssh.Permissions, error) {
		l.holdAt(InAuth)
		if !known || user != s.config.User || l.faults().RefuseAuth {
			return nil, errors.New("access denied")
		}
		return nil, nil
	}
	config.PublicKeyCallback = func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		return admit(c.User(), string(key.Marshal()) == string(s.clientKey.Marshal()))
	}
	switch {
	case s.config.Password == "":
	case len(s.config.Prompts) == 0:
		config.PasswordCallback = func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			return admit(c.User(), string(password) == s.config.Password)
		}
	default:
		config.KeyboardInteractiveCallback = func(c ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			echo := make([]bool, len(s.config.Prompts))
			for i, prompt := range s.config.Prompts {
				echo[i] = prompt[0] == '!'
			}
			answers, err := ask("", "", s.config.Prompts, echo)
			return admit(c.User(), err == nil && !slices.ContainsFunc(answers, func(a string) bool { return a != s.config.Password }))
		}
	}
	return config
}

// serveSession waits for the request for SFTP, and answers it.
func (s *Server) serveSession(l *link, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for request := range requests {
		if request.Type != "subsystem" || string(request.Payload) != "\x00\x00\x00\x04sftp" || l.faults().RefuseSFTP {
			request.Reply(false, nil)
			continue
		}
		l.holdAt(InSubsystem)
		request.Reply(true, nil)
		go ssh.DiscardRequests(requests) // ends with the channel
		if text := l.faults().Chatter; text != "" {
			io.WriteString(channel, text)
		}
		files := &files{root: s.root, dir: s.config.Dir, link: l}
		server := sftp.NewRequestServer(&answers{ReadWriteCloser: channel, link: l}, sftp.Handlers{
			FileGet: files, FilePut: readOnly{}, FileCmd: readOnly{}, FileList: files,
		})
		server.Serve()
		return
	}
}
