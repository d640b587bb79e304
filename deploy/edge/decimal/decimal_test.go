package decimal

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

func TestConversionsAreExactAndRoundOnce(t *testing.T) {
	for _, c := range []struct {
		value, from, to string
		want            provenance.Micro
	}{
		{"32", "F", "Cel", 0},
		{"-40", "°F", "Cel", -40_000_000},
		{"98.6", "Far", "Cel", 37_000_000},
		{"39.9", "F", "Cel", 4_388_889}, // 79/18, rounded once
		{"273.15", "K", "Cel", 0},
		{"0.1", "K", "Cel", -273_050_000},
		{"0", "degF", "K", 255_372_222},
		{"0.553", "/", "%RH", 55_300_000},
		{"3300", "mV", "V", 3_300_000},
		{"4.5", "C", "Cel", 4_500_000},
		{"0.0000005", "Cel", "Cel", 0}, // a half goes to the even millionth
		{"0.0000015", "Cel", "Cel", 2},
		{"-0.0000015", "Cel", "Cel", -2},
		{"-0.0000005", "Cel", "Cel", 0},
	} {
		n, err := Parse(c.value)
		require.NoError(t, err)
		conversion, err := Between(c.from, c.to)
		require.NoError(t, err)
		got, err := conversion.Apply(n).Micro()
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%s %s in %s", c.value, c.from, c.to)
	}
	_, err := Between("lx", "Cel")
	require.ErrorContains(t, err, `no conversion from "lx" to "Cel"`)
	custom, err := Linear("1/3", "-2.5")
	require.NoError(t, err)
	got, err := custom.Apply(Integer(9)).Micro()
	require.NoError(t, err)
	require.Equal(t, provenance.Micro(500_000), got)
}

func TestEveryKnownConversionIsSound(t *testing.T) {
	for pair := range conversions {
		_, err := Between(pair[0], pair[1])
		require.NoError(t, err, pair)
	}
}

func TestFloatsMeanTheirShortestDecimal(t *testing.T) {
	n, err := Float(float64(float32(21.3)), 32)
	require.NoError(t, err)
	require.Equal(t, "21.3", n.String())
	n, err = Float(0.1, 64)
	require.NoError(t, err)
	require.Equal(t, "0.1", n.String())
	n, err = Scaled(big.NewInt(45), 10, -1)
	require.NoError(t, err)
	require.Equal(t, "4.5", n.String())
	for _, bad := range []string{"", "1/3", "0x10", "1_0", "Inf", "NaN", "1e65", "1e-65", "1e9999999999999999999", "one", " 1", "1 ", "+1", "1p4"} {
		_, err := Parse(bad)
		require.Error(t, err, bad)
	}
	n, err = Parse("1e+2")
	require.NoError(t, err)
	require.Equal(t, "100", n.String())
	big, err := Parse("1e13")
	require.NoError(t, err)
	_, err = big.Micro()
	require.ErrorContains(t, err, "beyond what the ledger can hold")
	_, err = Linear("0", "")
	require.Error(t, err)
	_, err = Linear("1/0", "")
	require.Error(t, err)
}
