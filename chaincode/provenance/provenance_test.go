package provenance

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMicro(t *testing.T) {
	for m, want := range map[Micro]string{4_500_000: "4.5", -1: "-0.000001", 12_000_000: "12", 0: "0", -4_150_000: "-4.15", -1 << 63: "-9223372036854.775808"} {
		require.Equal(t, want, m.String())
	}
}

func TestHashInJSON(t *testing.T) {
	h := Hash{1, 0xff}
	text, err := json.Marshal(h)
	require.NoError(t, err)
	var again Hash
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, h, again)
	require.Error(t, json.Unmarshal([]byte(`"00"`), &again))
	require.Error(t, json.Unmarshal([]byte(`"zz`+h.String()[2:]+`"`), &again))
}

func TestIdentifiers(t *testing.T) {
	for _, good := range []string{"a", "TRK-1.front_2:x", "0", "A234567890123456789012345678901234567890123456789012345678901234"} {
		require.NoError(t, CheckIdentifier("x", good), good)
	}
	for _, bad := range []string{"", "-a", ".a", "a/b", "a b", "ü", "a\x00", "A2345678901234567890123456789012345678901234567890123456789012345"} {
		require.Error(t, CheckIdentifier("x", bad), bad)
	}
}

func TestParseErrorTakesTheFirst(t *testing.T) {
	require.Equal(t, &Error{Conflict, "it stands; invalid: so it says"}, ParseError("chaincode response 500, conflict: it stands; invalid: so it says"))
	require.Nil(t, ParseError("all is well"))
}

func TestErrorsAreTyped(t *testing.T) {
	var refused *Error
	require.ErrorAs(t, Conflictf("%s: %d", StaleFence, 3), &refused)
	require.True(t, refused.Begins(StaleFence))
	require.False(t, refused.Begins(WrongNumber))
}

func TestKeyAt(t *testing.T) {
	d := Device{Epoch: 4, Keys: []DeviceKey{{FromEpoch: 1, Key: []byte("a")}, {FromEpoch: 3, Key: []byte("b")}}}
	for epoch, want := range map[uint32]string{0: "", 1: "a", 2: "a", 3: "b", 4: "b", 5: ""} {
		require.Equal(t, want, string(d.KeyAt(epoch)), epoch)
	}
}

// A head accepts every number once, in any order, and its gaps are exactly what is missing below the highest.
func TestHeadAgainstASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Head
		seen := map[uint64]bool{}
		for range rapid.IntRange(1, 200).Draw(t, "n") {
			sequence := rapid.Uint64Range(0, 60).Draw(t, "sequence")
			last := h.Last
			verdict, filled := h.Accept(sequence)
			switch {
			case sequence == 0:
				require.Equal(t, Malformed, verdict)
			case seen[sequence]:
				require.Equal(t, Replay, verdict)
			case verdict == Accepted:
				require.Equal(t, sequence < last, filled)
				seen[sequence] = true
			default:
				require.Equal(t, TooManyGaps, verdict)
				require.GreaterOrEqual(t, len(h.Gaps), MaxGaps)
			}
			missing := map[uint64]bool{}
			previous := uint64(0)
			for _, gap := range h.Gaps {
				require.Greater(t, gap.From, previous, "gaps rise and do not touch")
				require.GreaterOrEqual(t, gap.To, gap.From)
				previous = gap.To + 1
				for s := gap.From; s <= gap.To; s++ {
					missing[s] = true
				}
			}
			for s := uint64(1); s <= h.Last; s++ {
				require.Equal(t, !seen[s], missing[s], "sequence %d", s)
			}
		}
	})
}
