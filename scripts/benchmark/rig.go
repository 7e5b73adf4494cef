//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"storagesrv/storage/sftp/sftptest"
)

// A rig is a directory of recordings, and what serves it to the peers.
//
// To those that play from an SFTP server, that is OpenSSH, and a proxy in front
// of it for each peer, so that one is not charged with what another pulls.
// Where there is nothing to delay, a peer is not behind its proxy, which takes a
// third of the machine for itself.
type rig struct {
	*options
	*library
	progress io.Writer
	dir      string // everything is below it
	sshd     *sftptest.OpenSSH
	proxies  map[string]*sftptest.Proxy
	started  int              // processes so far
	verified map[string]error // by peer, and "peer https" or "peer http" on a mount: whether it once gave every byte of a stream

	certificate *certificate // of the peers on a mount
}

// A part is the cases that compare the same peers.
type part struct {
	section
	setUp  func(*rig) error // makes the recordings, and what they are served with
	delays bool             // round trips are delayed
	cases  []*benchCase
}

func newRig(o *options, progress io.Writer) (*rig, error) {
	r := &rig{options: o, progress: progress, proxies: make(map[string]*sftptest.Proxy), verified: make(map[string]error)}
	if err := r.start(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) start() (err error) {
	if r.dir, err = os.MkdirTemp("", "storagesrv-bench"); err != nil {
		return err
	}
	if r.storagesrv, err = filepath.Abs(r.storagesrv); err != nil {
		return err
	}
	r.library, err = newLibrary(r.dir)
	return err
}

// setUpSFTP makes the recordings, starts the SFTP server, and the proxies.
func (r *rig) setUpSFTP() (err error) {
	if err := r.makeRecordings(r.addSFTP); err != nil {
		return err
	}
	// More connections may log in at a time than by default: some peers make many.
	if r.sshd, err = sftptest.StartOpenSSH(sftptest.OpenSSHConfig{Options: []string{"MaxStartups 1000"}}); err != nil {
		return err
	}
	// The proxies are no hosts that anybody has a line for.
	_, hostKey, _ := strings.Cut(string(r.sshd.KnownHosts()), " ")
	if err := errors.Join(
		os.WriteFile(r.file("key"), r.sshd.ClientKey(), 0o600),
		os.WriteFile(r.file("known_hosts"), []byte("* "+hostKey), 0o644),
	); err != nil {
		return err
	}
	for _, peer := range sftpPeers {
		if r.proxies[peer], err = sftptest.StartProxy(r.sshd.Addr()); err != nil {
			return err
		}
	}
	return nil
}

// makeRecordings lets add make some, and writes them to the catalog. Those of
// the part before are not in it: how long a peer takes to start depends on it.
func (r *rig) makeRecordings(add func(size) error) error {
	fmt.Fprintln(r.progress, "making recordings in", r.dir)
	clear(r.sets)
	clear(r.warm)
	if err := add(r.size); err != nil {
		return fmt.Errorf("make recordings: %w", err)
	}
	return r.writeCatalog(r.file("calls.json"))
}

// close ends what was started, and removes all files.
func (r *rig) close() error {
	var errs []error
	for _, proxy := range r.proxies {
		errs = append(errs, proxy.Close())
	}
	if r.sshd != nil {
		errs = append(errs, r.sshd.Close())
	}
	if mounted(r.file("mount")) {
		// Its files are the server's.
		return errors.Join(append(errs, fmt.Errorf("%s is still mounted: nothing in it is removed", r.file("mount")))...)
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

// nextLog returns where the next process's output goes.
func (r *rig) nextLog(name string) string {
	r.started++
	return r.file(fmt.Sprintf("%s-%d.log", name, r.started))
}

// address is where peer finds the server over that round trip.
func (r *rig) address(peer string, roundTrip time.Duration) string {
	if roundTrip == 0 {
		return r.sshd.Addr()
	}
	return r.proxies[peer].Addr()
}

// delay makes a round trip of peer's take that long.
func (r *rig) delay(peer string, roundTrip time.Duration) {
	r.proxies[peer].SetDelay(roundTrip / 2)
}
