package scan

import "io"

const (
	streamContext = maxWindow // what is seen again around each part [bytes]
	streamPart    = 64 << 10
)

// ScanReader scans a text of any length as it comes, in bounded memory, and
// calls found for each finding in turn, with places from the start of the
// text. Findings have no path. A secret may lie across the borders of reads,
// but one that takes more than 8 KiB may be told of in pieces. It returns the
// reader's error, or that of found, at once; [io.EOF] is none.
func (s *Scanner) ScanReader(r io.Reader, found func(Finding) error) error {
	w := s.workers.Get().(*worker)
	defer func() {
		w.reset()
		s.workers.Put(w)
	}()
	buf := make([]byte, 0, streamPart+2*streamContext)
	base, from, last := 0, 0, 0 // of buf; what is told of in it; the last end
	var fs []Finding
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			return err
		}
		until := len(buf)
		if !end {
			until -= streamContext
		}
		w.document(buf, false)
		fs = w.settle(fs[:0], false)
		w.reset()
		for _, f := range fs {
			if f.Start < from || f.Start >= until || base+f.Start < last {
				continue
			}
			f.Start += base
			f.End += base
			last = f.End
			if err := found(f); err != nil {
				return err
			}
		}
		if end {
			clear(buf)
			return nil
		}
		keep := until - streamContext
		base += keep
		from = streamContext
		buf = buf[:copy(buf, buf[keep:])]
	}
}
