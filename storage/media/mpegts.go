package media

import "slices"

const (
	tsSync    = 0x47
	tsPacket  = 188
	tsStamped = 192 // with 4 bytes of arrival time before each packet, as Blu-ray's
	// minPackets sync bytes at their distance make a proof, together with two
	// forbidden values in each header: random bytes pass 2 times in 10¹³.
	minPackets = 5
)

// isMPEGTS looks at the sync bytes of the first packets.
func isMPEGTS(head []byte) bool {
	return tsPackets(head, 0, tsPacket) != nil || tsPackets(head, 4, tsStamped) != nil
}

// tsPackets returns the packets in b (ISO/IEC 13818-1, section 2.4.3.2), nil
// where there are too few or one is wrong. The first has its sync byte at off.
func tsPackets(b []byte, off, distance int) [][]byte {
	var packets [][]byte
	for ; off+tsPacket <= len(b); off += distance {
		p := b[off : off+tsPacket]
		if p[0] != tsSync || p[1]&0x80 != 0 || p[3]&0x30 == 0 {
			return nil
		}
		packets = append(packets, p)
	}
	if len(packets) < minPackets {
		return nil
	}
	return packets
}

func proveMPEGTS(w *window) (Format, error) {
	packets := tsPackets(w.head, 0, tsPacket)
	if packets == nil {
		packets = tsPackets(w.head, 4, tsStamped)
	}
	f := Format{
		Type: "video/mp2t", Ext: "ts", Container: "mpegts", Browser: "browsers do not play MPEG transport streams",
	}
	f.Codec = programCodec(packets)
	if slices.ContainsFunc(packets, func(p []byte) bool { return p[3]&0xC0 != 0 }) {
		return Format{}, &EncryptedError{Scheme: "MPEG-TS scrambling"}
	}
	return f, nil
}

// tsCodecs are the stream types of a program map (ISO/IEC 13818-1, table 2-34;
// ATSC A/53 for AC-3).
var tsCodecs = map[byte]string{
	0x03: "mp3", 0x04: "mp3", 0x0F: "aac", 0x11: "aac_latm", 0x81: "ac3",
}

// programCodec returns the codec of the first sound that the first program
// maps, "" where the packets do not show one.
func programCodec(packets [][]byte) string {
	pat := tsSection(packets, 0)
	if len(pat) < 12 {
		return ""
	}
	pmt := tsSection(packets, int(pat[10]&0x1F)<<8|int(pat[11]))
	if len(pmt) < 12 {
		return ""
	}
	// The last 4 bytes are a CRC.
	for b := tail(pmt[:len(pmt)-4], 12+(int(pmt[10]&0x0F)<<8|int(pmt[11]))); len(b) >= 5; {
		if codec := tsCodecs[b[0]]; codec != "" {
			return codec
		}
		b = tail(b, 5+(int(b[3]&0x0F)<<8|int(b[4])))
	}
	return ""
}

// tsSection returns the table that starts in the first packet of the given
// id, if it fits there: its header tells the length after 3 bytes.
func tsSection(packets [][]byte, id int) []byte {
	for _, p := range packets {
		if int(p[1]&0x1F)<<8|int(p[2]) != id || p[1]&0x40 == 0 {
			continue
		}
		b := p[4:]
		if p[3]&0x20 != 0 { // adaptation field
			b = tail(b, 1+int(b[0]))
		}
		if len(b) == 0 {
			return nil
		}
		b = tail(b, 1+int(b[0])) // pointer field
		if len(b) < 3 {
			return nil
		}
		return b[:min(len(b), 3+(int(b[1]&0x0F)<<8|int(b[2])))]
	}
	return nil
}
