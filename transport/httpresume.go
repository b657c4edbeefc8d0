package transport

import (
	"slices"
	"strconv"
	"strings"
)

// The methods of this file are called with the session's lock held.

// register gives a stream its number.
func (s *frontSession) register(st *frontStream) {
	s.nextNum++
	st.num = s.nextNum
	if s.err == nil {
		s.streams[st.num] = st
	}
}

// hail is what a connection begins with, so that a client can resume even when
// it breaks before the first message. Clients of older revisions do not expect
// an event without data (SEP-1699).
func (s *frontSession) hail(st *frontStream) []byte {
	if !s.resumable || s.version < VersionLegacy {
		return nil
	}
	return AppendEvent(nil, st.eventID(st.seq), "", resumeRetryMS, []byte{})
}

// keep keeps an event for resumption and makes room for it.
func (s *frontSession) keep(e *frontEvent) {
	s.history = append(s.history, e)
	s.kept += e.cost()
	s.h.kept.Add(int64(e.cost()))
	for len(s.history) > 0 && (s.kept > s.h.o.Resume || s.h.kept.Load() > s.h.o.ResumeTotal) {
		s.evict()
	}
}

// evict forgets the oldest event.
func (s *frontSession) evict() {
	e := s.history[0]
	s.history[0] = nil
	s.history = s.history[1:]
	s.kept -= e.cost()
	s.h.kept.Add(-int64(e.cost()))
	st := e.stream
	if !e.gone {
		st.lost = e.seq
	}
	st.log[0] = nil
	st.log = st.log[1:] // both are in the order of sending
	s.forget(st)
}

// forget removes a stream that nobody can ask for any more. Streams of GETs
// are remembered a little longer: their clients may have got nothing yet.
func (s *frontSession) forget(st *frontStream) {
	if st.sink != nil || len(st.log) > 0 {
		return
	}
	if st.ended && !st.standing {
		delete(s.streams, st.num)
		return
	}
	if !st.standing {
		return
	}
	for len(s.standing) > s.h.o.MaxStreams {
		i := slices.IndexFunc(s.standing, func(o *frontStream) bool { return o.sink == nil && len(o.log) == 0 })
		if i < 0 {
			return
		}
		delete(s.streams, s.standing[i].num)
		s.standing = slices.Delete(s.standing, i, i+1)
	}
}

// forgetOld forgets what the streams that have ended sent.
func (s *frontSession) forgetOld() {
	for len(s.history) > 0 {
		s.evict()
	}
	s.history = nil
}

// detached is called when a stream has lost its connection k. What k was not
// given yet is kept when it belongs to a call; else it waits for the next GET,
// whichever stream that opens.
func (s *frontSession) detached(st *frontStream, k *frontSink) {
	s.touch()
	if st.standing && s.err == nil && !s.old && len(k.queue.events) > 0 {
		var q frontQueue
		for _, e := range k.queue.events {
			n := &frontEvent{data: e.data, class: e.class, token: e.token}
			e.gone, e.next = true, n
			q.push(n)
		}
		for _, e := range s.backlog.events {
			q.push(e)
		}
		s.backlog = q
		s.charge()
	}
	s.forget(st)
}

// charge brings what waits for a GET to account: it counts as what is kept for
// resumption does, over all sessions.
func (s *frontSession) charge() {
	s.h.kept.Add(int64(s.backlog.bytes - s.charged))
	s.charged = s.backlog.bytes
}

// flush gives a stream of a GET what waited for one.
func (s *frontSession) flush(st *frontStream) {
	waiting := s.backlog.events
	s.backlog = frontQueue{}
	s.charge()
	for _, e := range waiting {
		st.sink.queue.push(e)
		st.record(e)
	}
	st.sink.signal()
}

// listening counts the connections that GETs opened.
func (s *frontSession) listening() (n int) {
	for _, st := range s.streams {
		if st.sink != nil && st.sink.get {
			n++
		}
	}
	return n
}

// mayListen reports whether another GET may hold a stream.
func (s *frontSession) mayListen() bool { return s.listening() < s.h.o.MaxStreams }

func (s *frontSession) tooManyStreams() *RPCError {
	return limited("MaxStreams", "the session has %d streams open, its limit", s.h.o.MaxStreams)
}

// resume finds the stream and the events after the one that the client got
// last, and takes the stream from a connection that still has it. The error
// says why that cannot be done.
func (s *frontSession) resume(last string) (st *frontStream, rest []*frontEvent, err *RPCError) {
	tag, place, _ := strings.Cut(last, "-")
	num, seq, _ := strings.Cut(place, "-")
	t, err1 := strconv.ParseUint(tag, 36, 32)
	n, err2 := strconv.ParseUint(num, 10, 64)
	at, err3 := strconv.ParseUint(seq, 10, 64)
	switch st = s.streams[n]; {
	case err1 != nil || err2 != nil || err3 != nil:
		return nil, nil, Errorf(CodeInvalidRequest, "Last-Event-ID is not an id of this gateway; open a new stream without it")
	case uint32(t) != s.tag:
		return nil, nil, Errorf(CodeInvalidRequest, "Last-Event-ID is not of this session; open a new stream without it")
	case st == nil || at > st.seq:
		return nil, nil, Errorf(CodeInvalidRequest, "Last-Event-ID names an event that is unknown or no longer kept; open a new stream without it")
	case at < st.lost:
		return nil, nil, Errorf(CodeInvalidRequest, "what came after the event of Last-Event-ID is no longer kept (Resume); open a new stream without it")
	}
	old := st.sink
	if (old == nil || !old.get) && !s.mayListen() {
		return nil, nil, s.tooManyStreams()
	}
	if old != nil {
		old.abort() // before the rest is known: what it was not given waits anew
	}
	for _, e := range st.log {
		if e.seq > at && !e.gone {
			rest = append(rest, e)
		}
	}
	return st, rest, nil
}
