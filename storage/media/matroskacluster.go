package media

import "slices"

// Element ids within a cluster (RFC 9559, section 5.1.3).
const (
	idTimestamp   = 0xE7
	idSilent      = 0x5854
	idPosition    = 0xA7
	idPrevSize    = 0xAB
	idBlockGroup  = 0xA0
	idBlock       = 0xA1
	idSimpleBlock = 0xA3
	idEncrypted   = 0xAF
)

const (
	minBlocks = 3 // in a row make a proof, fewer where the cluster ends
	maxBlocks = 8 // are looked at for the first of each track
)

// A blockWalk is the way through the blocks of a file's first cluster.
type blockWalk struct {
	w      *window
	tracks *tracks
	unseen []*track // the tracks whose first block is still to come
	blocks int
}

// proveCluster asks for blocks of known tracks and checks the first of sound
// and the first of picture. It returns how many blocks it saw.
func (t *tracks) proveCluster(w *window, cluster element) (blocks int, err error) {
	walk := blockWalk{w: w, tracks: t, unseen: t.both()}
	end := w.size
	if cluster.size >= 0 {
		end = min(end, cluster.off+cluster.size)
	}
	next := cluster.off
	for e, err := range w.elements(cluster.off, end) {
		if err != nil && walk.blocks > 0 && w.size-next < elementHead {
			break // still being written
		}
		if err != nil {
			return 0, err
		}
		next = e.off + max(e.size, 0)
		switch {
		case cluster.size < 0 && e.id == idCluster && walk.blocks == 0:
			return t.proveCluster(w, e)
		case cluster.size < 0 && slices.Contains(segmentParts, e.id):
			return walk.blocks, nil // ends a cluster of unknown size
		}
		if err := walk.read(e); err != nil {
			return 0, err
		}
		if walk.done() {
			break
		}
	}
	return walk.blocks, nil
}

func (b *blockWalk) done() bool {
	return b.blocks >= maxBlocks || b.blocks >= minBlocks && len(b.unseen) == 0
}

// read reads an element of a cluster.
func (b *blockWalk) read(e element) error {
	switch e.id {
	case idTimestamp, idSilent, idPosition, idPrevSize, idVoid, idCRC:
		return nil
	case idEncrypted:
		return &EncryptedError{Scheme: "Matroska content encryption"}
	case idSimpleBlock:
		return b.readBlock(e)
	case idBlockGroup:
		for sub, err := range b.w.elements(e.off, e.off+e.size) {
			if err != nil {
				return err
			}
			if sub.id == idBlock {
				return b.readBlock(sub)
			}
		}
	}
	return unrecognized("its Matroska blocks do not chain")
}
