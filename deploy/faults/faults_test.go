package faults

import (
	"crypto/tls"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/evidence"
	"github.com/trailmark/trailmark/chaincode/provenance"
	"github.com/trailmark/trailmark/deploy/supervise"
)

func TestPlanIsTheSeedsAndHasEveryKind(t *testing.T) {
	draw := func(seed uint64, config Config) (names []string) {
		for _, k := range plan(rand.New(rand.NewPCG(seed, 0)), &config) {
			names = append(names, k.name)
		}
		return names
	}
	full := draw(7, Config{})
	require.GreaterOrEqual(t, len(full), 20)
	require.Equal(t, full, draw(7, Config{}), "a seed names one plan")
	require.NotEqual(t, full, draw(8, Config{}))
	require.Subset(t, full, names(), "every kind is there")
	require.ElementsMatch(t, essential, draw(7, Config{Short: true}))
	require.Equal(t, []string{"overload", "overload"}, draw(7, Config{Faults: 2, Only: []string{"overload"}}))
	require.ErrorContains(t, (&Config{Only: []string{"sunshine"}}).check(), `no kind of fault is called "sunshine"`)
	require.Error(t, (&Config{Faults: -1}).check())
}

func TestSensorSignsWhatIsAccepted(t *testing.T) {
	all, err := newSensors("CarrierMSP", "s", 1)
	require.NoError(t, err)
	s := all[0]
	enrolment, err := s.enrolment()
	require.NoError(t, err)
	device := &provenance.Device{ID: s.id, Organisation: "CarrierMSP", Unit: "Cel", Epoch: 1, Keys: []provenance.DeviceKey{{FromEpoch: 1, Key: enrolment.Key}}}
	now := time.Now()
	judge := func(m *message) error {
		frame, payload, err := evidence.ParseMessage(m.body)
		require.NoError(t, err)
		require.Equal(t, m.id, frame.ID)
		require.Equal(t, m.leaf, evidence.LeafHash(frame.Raw))
		return evidence.Judge(frame, payload, device, nil, evidence.Origin{Organisation: "CarrierMSP", Now: provenance.TimeOf(now)})
	}
	for range 100 { // as in a burst
		m, err := s.sign(now, readingsInFlood)
		require.NoError(t, err)
		require.NoError(t, judge(m))
	}
	s.setClock(provenance.MaxClockSkew*time.Millisecond + time.Minute)
	m, err := s.sign(now, 3)
	require.NoError(t, err)
	refused := new(evidence.FrameError)
	require.ErrorAs(t, judge(m), &refused)
	require.Equal(t, provenance.FutureTime, refused.Verdict)
	s.setClock(-time.Hour)
	m, err = s.sign(now, 3)
	require.NoError(t, err)
	require.NoError(t, judge(m))
	require.Less(t, m.last, provenance.TimeOf(now.Add(-59*time.Minute)))
	require.EqualValues(t, 102, m.id.Sequence)
}

func TestBookKnowsWhatIsMissing(t *testing.T) {
	b := newBook()
	since := time.Now()
	var all []*message
	for lane := range uint32(lanes) {
		m := &message{id: provenance.FrameID{Device: "d", Epoch: 1, Sequence: uint64(lane)}, lane: lane, signed: since.Add(time.Second)}
		all = append(all, m)
		b.offer(m)
		b.acknowledge(m)
	}
	require.Len(t, b.missing(), lanes)
	for i, m := range all {
		yes, _, changed := b.flowing(since)
		require.False(t, yes, "lane %d has nothing yet", i)
		b.record(uint64(10+i), []provenance.FrameID{m.id})
		<-changed
	}
	yes, height, _ := b.flowing(since)
	require.True(t, yes)
	require.EqualValues(t, 10+lanes-1, height)
	require.Empty(t, b.missing())
	yes, _, _ = b.flowing(since.Add(2 * time.Second))
	require.False(t, yes)
}

// The audit's words are the run's verdict: each finding counts once for its frame, whatever number of places shows it.
func TestVerdictCounts(t *testing.T) {
	a := newAudit(newBook())
	require.Equal(t, "lost 0, duplicated 0, altered 0", a.verdict())
	require.True(t, a.clean())
	one, other := provenance.FrameID{Device: "d", Epoch: 1, Sequence: 1}, provenance.FrameID{Device: "d", Epoch: 1, Sequence: 2}
	a.lose(one, "any block")
	a.lose(one, "node-carrier")
	a.alter(other, "node-carrier")
	require.Equal(t, "lost 1, duplicated 0, altered 1", a.verdict())
	require.False(t, a.clean())
	require.Len(t, a.Findings, 2)

	b := newAudit(newBook())
	b.log()
	require.False(t, b.clean(), "a log without checkpoints is a finding")
}

func TestFillStopsWhenTheDiskIsFull(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		t.Skip("needs a small filesystem of its own: run by trailmark faults")
	}
	r := &room{own: true}
	dir := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, r.mountDisk(dir, 1<<20))
	n, err := fill(filepath.Join(dir, "ballast"))
	require.NoError(t, err)
	require.Greater(t, n, 1<<19)
}

func TestListensFindsPorts(t *testing.T) {
	spec := supervise.Spec{Env: []string{
		"CORE_PEER_LISTENADDRESS=127.0.0.1:20001", "CORE_PEER_ADDRESS=127.0.0.1:1", "CORE_OPERATIONS_LISTENADDRESS=127.0.0.1:20002",
		"CORE_PEER_CHAINCODELISTENADDRESS=127.0.0.1:20003", "ODD_LISTENADDRESS=127.0.0.1:x",
	}}
	require.Equal(t, []string{"20001", "20002", "20003"}, listens(spec))
}

func TestGiveUpDropsOnlyWhatIsMeant(t *testing.T) {
	p := newPublisher(newBook(), "tcp://127.0.0.1:1", "CarrierMSP", &tls.Config{MinVersion: tls.VersionTLS12}, []string{"a"}, make([]tls.Certificate, 1))
	for i := range 10 {
		p.send(&message{id: provenance.FrameID{Device: "d", Epoch: 1, Sequence: uint64(i)}})
	}
	require.Equal(t, 10, p.waiting())
	p.giveUp(func(m *message) bool { return m.id.Sequence >= 4 })
	require.Equal(t, 4, p.waiting())
	require.EqualValues(t, 6, p.discarded.Load())
	n, longest := p.backlog()
	require.Equal(t, 4, n)
	require.Positive(t, longest)
	due := p.lines[0].next(map[*message]bool{p.lines[0].queue[0]: true}, 3)
	require.Len(t, due, 2, "what flies counts for the window")
	require.EqualValues(t, 1, due[0].id.Sequence)
}
