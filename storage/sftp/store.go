// Package sftp opens recordings on an SFTP server.
//
//	recordings, err := sftp.New(sftp.Config{
//		Address:    "recorder.example.lan:22",
//		User:       "playback",
//		PrivateKey: key,
//		KnownHosts: "/etc/storagesrv/known_hosts",
//	})
//	file, err := recordings.Open(ctx, "20131012/a.mp3")
//
// All files of a [Store] share a few SSH connections, which are dialed when they
// are needed and again when they are lost. Nothing waits for the server longer
// than [Config] says: an answer that does not come severs the connection, which
// frees all who wait on it. An open File then goes on over another one, if the
// recording is still the same.
//
// What is opened is looked at before (is it a regular file, does a link lead
// there, where does the server say that it is) and after. That is no proof
// against somebody who changes links on the server while we look, nor on a
// server whose REALPATH is lexical: give the account a directory that nobody
// else writes to.
package sftp

import (
	"context"
	"fmt"
	"io/fs"
	"sync/atomic"

	"storagesrv/storage"
)

// A Store opens recordings on one SFTP server.
type Store struct {
	config  Config
	pool    *pool
	health  *health
	refused refused
	probing atomic.Bool // a contact that Health began is under way
}

var _ storage.Store = (*Store)(nil)

// New returns a Store. It checks config, the private key and the known_hosts
// file included, and does not dial. An error begins with the key of the
// configuration file that it is about, as in "known_hosts: ...", and quotes no
// value but a file's path.
func New(config Config) (*Store, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &dialer{config: config}
	if len(config.PrivateKey) > 0 {
		if d.key, err = parseKey(config.PrivateKey, config.Passphrase, config.LegacyAlgorithms); err != nil {
			return nil, fmt.Errorf("key_file: %w", err)
		}
	}
	if config.HostKey != "" {
		err = checkFingerprint(config.HostKey)
	} else {
		_, err = d.verifier()
	}
	if err != nil {
		return nil, err
	}
	h := newHealth()
	return &Store{config: config, pool: newPool(config, d.dial, h), health: h}, nil
}

// Open implements [storage.Store]. The File is a [*File]. A root that is
// missing or empty counts as a server whose disk is not mounted, not as one
// without the file.
func (s *Store) Open(ctx context.Context, name string) (storage.File, error) {
	if err := storage.CheckName(name); err != nil {
		return nil, storage.PathError(name, err)
	}
	file, err := s.open(ctx, name)
	if err != nil {
		return nil, storage.PathError(name, err)
	}
	return file, nil
}

func (s *Store) open(ctx context.Context, name string) (*File, error) {
	h, err := try(ctx, s, func(ctx context.Context, c *conn) (*handle, error) {
		return s.openOn(ctx, c.first, name, firstReads(storage.HintFrom(ctx))...)
	}, (*handle).close)
	if err != nil {
		return nil, err
	}
	return newFile(ctx, s, name, h), nil
}

// Stat looks at the recording called name as Open does, and returns its size
// and time. It takes one round trip. Errors are those of Open.
func (s *Store) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := storage.CheckName(name); err != nil {
		return nil, storage.PathError(name, err)
	}
	attrs, err := try(ctx, s, func(ctx context.Context, c *conn) (attributes, error) {
		if _, err := s.path(name); err != nil {
			return attributes{}, err
		}
		return s.look(ctx, c.first, name)
	}, nil)
	if err != nil {
		return nil, storage.PathError(name, err)
	}
	return info{name, attrs}, nil
}

// contact makes sure that there is a connection and that the root is there. It
// serves to find out early; Open dials by itself.
func (s *Store) contact(ctx context.Context) error {
	_, err := try(ctx, s, func(ctx context.Context, c *conn) (struct{}, error) {
		return struct{}{}, c.first.checkRoot(ctx, s.config.Root)
	}, nil)
	return err
}

// Connections returns how many SSH connections are alive.
func (s *Store) Connections() int { return s.pool.size() }

// Close severs the connections, and with it all open Files, and returns when
// nothing of the Store is left running. It always returns nil.
func (s *Store) Close() error {
	s.pool.close()
	return nil
}
