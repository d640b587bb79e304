package fabric

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

func TestDefaultOrganisations(t *testing.T) {
	orgs, err := loadOrganisations("")
	require.NoError(t, err)
	require.Len(t, orgs, 3)
	for i, name := range []string{"manufacturer", "carrier", "regulator"} {
		require.Equal(t, Organisation{
			Name: name, Title: strings.ToUpper(name[:1]) + name[1:], MSPID: strings.ToUpper(name[:1]) + name[1:] + "MSP",
			Domain: name + ".trailmark.internal", Endorses: true, Roles: []string{name}, Peers: 1,
		}, orgs[i])
	}
}

func TestOrganisationsAreChecked(t *testing.T) {
	one := func(fields string) string {
		return "organisations: [{name: a, mspID: AMSP, endorses: true}, {" + fields + "}]"
	}
	for name, c := range map[string]struct{ file, want string }{
		"empty":          {"", "EOF"},
		"none":           {"organisations: []", "0 organisations"},
		"not yaml":       {"organisations: [", "decoding"},
		"unknown field":  {one("name: b, mspID: B, endorse: true"), "endorse"},
		"bad name":       {one("name: B/../b, mspID: B"), "name \"B/../b\""},
		"no msp":         {one("name: b"), "mspID \"\""},
		"msp quote":      {one("name: b, mspID: \"B'C\""), "mspID"},
		"same name":      {one("name: a, mspID: B, domain: b.example"), "name a is taken"},
		"same msp":       {one("name: b, mspID: AMSP"), "AMSP is taken"},
		"same domain":    {one("name: b, mspID: B, domain: a.trailmark.internal"), "a.trailmark.internal is taken"},
		"orderer's msp":  {one("name: b, mspID: OrdererMSP"), "OrdererMSP is taken"},
		"orderer's name": {one("name: orderer, mspID: B"), "orderer.trailmark.internal is taken"},
		"bad domain":     {one("name: b, mspID: B, domain: ../b"), "domain"},
		"many peers":     {one("name: b, mspID: B, peers: 10"), "10 peers"},
		"negative peers": {one("name: b, mspID: B, peers: -1"), "-1 peers"},
		"bad role":       {one("name: b, mspID: B, roles: [\"A B\"]"), "role \"A B\""},
		"nobody":         {"organisations: [{name: a, mspID: A}]", "no organisation endorses"},
		"too many":       {"organisations: [" + strings.Repeat("{name: a, mspID: A, endorses: true},", 51) + "]", "51 organisations"},
		"too large":      {strings.Repeat("#", maxOrganisationsFile+1), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseOrganisations([]byte(c.file))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestMoreEndorsementsThanEndorsersIsRefused(t *testing.T) {
	orgs, err := loadOrganisations("")
	require.NoError(t, err)
	orgs[2].Endorses = false
	_, err = newState(Config{Endorsements: 3}, orgs, testTime)
	require.ErrorContains(t, err, "3 endorsements wanted, but only 2")
}

func TestConfigIsChecked(t *testing.T) {
	for want, cfg := range map[string]Config{
		"orderers 2":          {Orderers: 2},
		"channel \"A\"":       {Channel: "A"},
		"endorsements -1":     {Endorsements: -1},
		"base port 70000":     {BasePort: 70000},
		"batch timeout 1h0m":  {BatchTimeout: 3600e9},
		"absolute max bytes":  {AbsoluteMaxBytes: 100 << 20},
		"preferred max bytes": {PreferredMaxBytes: 20 << 20},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := cfg.withDefaults()
			require.ErrorContains(t, err, want)
		})
	}
}

// A program with flags and one without start from the same settings.
func TestFlagDefaultsAreTheDefaults(t *testing.T) {
	var cli struct {
		Config `embed:"" prefix:"net-"`
	}
	parser, err := kong.New(&cli)
	require.NoError(t, err)
	_, err = parser.Parse(nil)
	require.NoError(t, err)
	byFlags, err := cli.Config.withDefaults()
	require.NoError(t, err)
	byZero, err := Config{}.withDefaults()
	require.NoError(t, err)
	require.Equal(t, byZero, byFlags)
	require.True(t, filepath.IsAbs(byZero.Dir))

	_, err = parser.Parse([]string{"--net-orderers=3", "--net-dir=/somewhere"})
	require.NoError(t, err)
	require.Equal(t, 3, cli.Orderers)
	require.Equal(t, "/somewhere", cli.Dir)
}

func FuzzParseOrganisations(f *testing.F) {
	f.Add(defaultOrganisations)
	f.Add([]byte(`{"organisations":[{"name":"a","mspID":"A","endorses":true}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		orgs, err := parseOrganisations(raw)
		if err != nil {
			return
		}
		// What passes can be written into file names, policies and YAML as it is.
		for _, o := range orgs {
			require.NotContains(t, o.Name+o.MSPID+o.Domain, "/")
			require.NotContains(t, o.MSPID, "'")
			require.LessOrEqual(t, o.Peers, maxPeers)
		}
		s, err := newState(Config{Endorsements: 1, Orderers: 1}, orgs, testTime)
		require.NoError(t, err)
		_, err = configtx(s)
		require.NoError(t, err)
	})
}
