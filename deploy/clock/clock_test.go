package clock

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClockRunsFastThenMeetsTheMachine(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	c := Starting(now, now.Add(-30*time.Hour), 90*time.Second)
	require.Equal(t, now.Add(-30*time.Hour), c.At(now))
	middle := now.Add(45 * time.Second)
	require.WithinDuration(t, now.Add(-15*time.Hour).Add(45*time.Second/1), c.At(middle), 2*time.Minute)
	require.True(t, c.Running(middle))
	met := now.Add(90 * time.Second)
	require.WithinDuration(t, met, c.At(met), time.Second)
	later := now.Add(time.Hour)
	require.Equal(t, later, c.At(later))
	require.False(t, c.Running(later))

	target := now.Add(-10 * time.Hour)
	require.WithinDuration(t, target, c.At(now.Add(c.Until(target, now))), time.Second)
	require.Equal(t, time.Minute, c.Until(later.Add(time.Minute), later))

	again, err := Parse(c.String())
	require.NoError(t, err)
	require.WithinDuration(t, c.At(middle), again.At(middle), time.Millisecond)
	require.Equal(t, later, Clock{}.At(later))
	for _, bad := range []string{"x", "a,b,c", now.Format(time.RFC3339) + "," + now.Format(time.RFC3339) + ",2"} {
		_, err := Parse(bad)
		require.Error(t, err)
	}
}

func TestFileIsTheMachinesClockUntilItIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	f := OpenFile(path)
	require.WithinDuration(t, time.Now(), f.Now(), time.Second)
	c := Starting(time.Now(), time.Now().Add(-30*time.Hour), 90*time.Second)
	require.NoError(t, os.WriteFile(path, []byte(c.String()), 0o600))
	require.Eventually(t, func() bool { return f.Clock().Simulated() }, time.Second, 10*time.Millisecond)
	require.WithinDuration(t, c.Now(), f.Now(), time.Minute)
	require.False(t, OpenFile("").Clock().Simulated())
}
