package recompute

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/analytics/service"
	"github.com/trailmark/trailmark/analytics/spoilage"
	"github.com/trailmark/trailmark/chaincode/provenance"
)

// TestSameBits builds the recomputation for several processors and compares what it prints, byte for byte.
func TestSameBits(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for three targets")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to build with")
	}
	build := func(t *testing.T, environment ...string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "bits")
		command := exec.Command(goTool, "build", "-o", path, "./testdata/bits")
		command.Env = append(append(os.Environ(), "CGO_ENABLED=0"), environment...)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return path
	}
	run := func(t *testing.T, command ...string) string {
		t.Helper()
		out, err := exec.Command(command[0], command[1:]...).Output()
		require.NoError(t, err)
		for _, kind := range spoilage.Kinds() {
			require.Contains(t, string(out), `"kind":"`+string(kind)+`"`, "every kind of finding is compared")
		}
		return string(out)
	}
	want := run(t, build(t)) // for this machine, as the program is built here
	for _, level := range []string{"v1", "v3"} {
		t.Run(level, func(t *testing.T) {
			if runtime.GOARCH != "amd64" {
				t.Skip("not an amd64 machine")
			}
			binary := build(t, "GOARCH=amd64", "GOAMD64="+level)
			if info, err := os.ReadFile("/proc/cpuinfo"); level == "v3" && err == nil && !strings.Contains(string(info), "avx2") {
				t.Skip("it builds, but this processor cannot run it")
			}
			require.Equal(t, want, run(t, binary))
		})
	}
	t.Run("arm64", func(t *testing.T) {
		binary := build(t, "GOARCH=arm64")
		if runtime.GOARCH == "arm64" {
			require.Equal(t, want, run(t, binary))
			return
		}
		for _, emulator := range []string{"qemu-aarch64-static", "qemu-aarch64"} {
			if path, err := exec.LookPath(emulator); err == nil {
				require.Equal(t, want, run(t, path, binary))
				return
			}
		}
		t.Skip("it builds, but qemu-aarch64-static (Debian: qemu-user-static) is not here to run it")
	})
}

// TestAlertIsFoundByItsIncident: the raiser's must be exact, an attester's may have begun elsewhere.
func TestAlertIsFoundByItsIncident(t *testing.T) {
	begin := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	findings := []spoilage.Finding{
		{Kind: spoilage.Anomaly, From: begin, To: begin.Add(time.Hour), Score: 1},
		{Kind: spoilage.BandExcursion, From: begin, To: begin.Add(time.Hour), Score: 2},
		{Kind: spoilage.BandExcursion, From: begin.Add(8 * time.Hour), To: begin.Add(9 * time.Hour), Score: 3},
	}
	score, err := Alert(findings, "band-excursion-20260302T060000Z", true)
	require.NoError(t, err)
	require.EqualValues(t, 2, score.Score)
	_, err = Alert(findings, "band-excursion-20260302T130000Z", true)
	require.ErrorContains(t, err, "they give anomaly-20260302T060000Z, band-excursion-20260302T060000Z")
	score, err = Alert(findings, "band-excursion-20260302T130000Z", false)
	require.NoError(t, err)
	require.EqualValues(t, 3, score.Score)
	_, err = Alert(nil, "band-excursion-20260302T130000Z", false)
	require.ErrorContains(t, err, "they give nothing")
	_, err = All(&provenance.Shipment{Profile: "unobtainium"}, nil, []service.Reading{{}})
	require.ErrorContains(t, err, "unobtainium")
}
