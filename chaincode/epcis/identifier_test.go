package epcis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCanonical(t *testing.T) {
	for written, want := range map[string]string{
		"urn:epc:id:sgtin:4012345.011111.98%22":                                "https://id.gs1.org/01/04012345111118/21/98%22",
		"urn:epc:id:sgtin:0614141.812345.6789%2F%26%25%22!%3F()":               "https://id.gs1.org/01/80614141123458/21/6789%2F%26%25%22%21%3F%28%29",
		"urn:epc:id:sgtin:415056789012.0.987654":                               "https://id.gs1.org/01/04150567890128/21/987654",
		"urn:epc:id:sscc:4012345.3111111111":                                   "https://id.gs1.org/00/340123451111111111",
		"urn:epc:id:sgln:4012345.00005.0":                                      "https://id.gs1.org/414/4012345000054",
		"urn:epc:id:sgln:123456789012..A1":                                     "https://id.gs1.org/414/1234567890128/254/A1",
		"urn:epc:id:grai:4012345.00022.334455":                                 "https://id.gs1.org/8003/04012345000221334455",
		"urn:epc:id:gdti:987659999999..9":                                      "https://id.gs1.org/253/98765999999929",
		"urn:epc:id:cpi:0614141.11111111111111-A%23%2F.1234":                   "https://id.gs1.org/8010/061414111111111111111-A%23%2F/8011/1234",
		"urn:epc:id:pgln:999999999999.":                                        "https://id.gs1.org/417/9999999999994",
		"urn:epc:class:lgtin:4012345.012345.Lot987":                            "https://id.gs1.org/01/04012345123456/10/Lot987",
		"urn:epc:idpat:itip:4012345.012345.01.02.*":                            "https://id.gs1.org/8006/040123451234560102",
		"https://id.gs1.org/gtin/09780345418913":                               "https://id.gs1.org/01/09780345418913",
		"http://example.com:8080/some/path/gtin/9780345418913/ser/765tz?a=1#x": "https://id.gs1.org/01/09780345418913/21/765tz",
		"https://example.com/01/09780345418913/22/V/10/L/21/S":                 "https://id.gs1.org/01/09780345418913/21/S",
		"https://example.com/01/09780345418913/22/V/":                          "https://id.gs1.org/01/09780345418913",
		"https://example.com/01/09780345418913/10/a%2fb":                       "https://id.gs1.org/01/09780345418913/10/a%2Fb",
		"https://example.com/01/96385074":                                      "https://id.gs1.org/01/00000096385074",
		"https://example.com/414/4012345000054/254/0":                          "https://id.gs1.org/414/4012345000054/254/0",
		"https://example.com/8006/040123451111180102/10/L":                     "https://id.gs1.org/8006/040123451111180102/10/L",
		"https://example.com/8018/401234500000067657/8019/3":                   "https://id.gs1.org/8018/401234500000067657",
		"https://www.ncbi.nlm.nih.gov/taxonomy/1126011":                        "https://www.ncbi.nlm.nih.gov/taxonomy/1126011",
		"https://example.com/01/123":                                           "https://example.com/01/123",
		"https://example.com/01/09780345418913/99/1":                           "https://example.com/01/09780345418913/99/1",
		"urn:epc:idpat:sgtin:4012345.*.*":                                      "urn:epc:idpat:sgtin:4012345.*.*",
		"urn:epc:id:sgtin:4012345.01111.1":                                     "urn:epc:id:sgtin:4012345.01111.1",
		"geo:47.5,11.1":                                                        "geo:47.5,11.1",
		"":                                                                     "",
	} {
		require.Equal(t, want, Canonical(written), written)
		require.Equal(t, want, Canonical(want), "a canonical form is its own")
	}
}

func TestEPCURIAndBack(t *testing.T) {
	for _, uri := range []string{
		"urn:epc:id:sgtin:4012345.011111.98%22", "urn:epc:id:sgtin:415056789012.0.987654",
		"urn:epc:id:sgtin:0614141.812345.6789%2F%26%25%22!%3F()", "urn:epc:id:sscc:4012345.3111111111",
		"urn:epc:id:sgln:4012345.00005.0", "urn:epc:id:sgln:4012345.00005.122", "urn:epc:id:sgln:123456789012..A1",
		"urn:epc:id:grai:4012345.00022.334455", "urn:epc:id:grai:123456789012..7", "urn:epc:id:giai:4012345.ABC345",
		"urn:epc:id:gsrn:4012345.0000006765", "urn:epc:id:gsrnp:4012345.0000000007", "urn:epc:id:gdti:4012345.00009.PO-4711",
		"urn:epc:id:gdti:987659999999..9", "urn:epc:id:cpi:0614141.11111111111111-A%23%2F.1234", "urn:epc:id:ginc:0614141.xyz47%2F11",
		"urn:epc:id:gsin:4012345.222333444", "urn:epc:id:itip:4012345.011111.01.02.987", "urn:epc:id:upui:1234567.098765.51qIgY)%3C%26Jp3*j7'SDB",
		"urn:epc:id:pgln:4000001.00000", "urn:epc:id:pgln:999999999999.", "urn:epc:id:sgcn:4012345.99999.44",
		"urn:epc:class:lgtin:4012345.012345.Lot987", "urn:epc:idpat:sgtin:4012345.012345.*", "urn:epc:idpat:grai:4012345.66666.*",
		"urn:epc:idpat:gdti:4012345.55555.*", "urn:epc:idpat:sgcn:4012345.99999.*", "urn:epc:idpat:cpi:4012345.ABC.*",
		"urn:epc:idpat:itip:4012345.012345.01.02.*",
	} {
		identity := uri[strings.LastIndex(uri, ":")+1:]
		length := strings.IndexByte(identity, '.')
		link := Canonical(uri)
		require.True(t, strings.HasPrefix(link, "https://id.gs1.org/"), "%s → %s", uri, link)
		back, err := EPCURI(link, length)
		require.NoError(t, err)
		require.Equal(t, uri, back)
	}
}

func TestEPCURIRefuses(t *testing.T) {
	for uri, message := range map[string]string{
		"https://example.com/":                         "no GS1 identifier",
		"https://id.gs1.org/01/04012345111119/21/1":    "check digit",
		"https://id.gs1.org/8003/14012345000221334455": "check digit",
	} {
		_, err := EPCURI(uri, 7)
		require.ErrorContains(t, err, message, uri)
	}
	_, err := EPCURI("https://id.gs1.org/00/040123450000001112", 13)
	require.ErrorContains(t, err, "6 to 12 digits")
	_, err = EPCURI("https://id.gs1.org/8004/40123", 7)
	require.ErrorContains(t, err, "too short")
}

func TestDecimal(t *testing.T) {
	for written, want := range map[string]string{
		"1": "1", "1.0": "1", "+01.50": "1.5", "-0": "0", "-0.0": "0", ".5": "0.5", "5.": "5", "1e3": "1000", "15E-1": "1.5",
		"0.00001": "0.00001", "1e-5": "0.00001", "12345678901234567890.10": "12345678901234567890.1", "000": "0", "1.50e1": "15",
	} {
		got, ok := decimal(written)
		require.True(t, ok, written)
		require.Equal(t, want, got, written)
	}
	for _, written := range []string{"", "-", ".", "e5", "1e", "1e+", "1e401", "0x10", "1_000", "NaN", "inf", "1 ", "1.2.3", strings.Repeat("1", 129)} {
		_, ok := decimal(written)
		require.False(t, ok, written)
	}
	require.Negative(t, compareDecimals("-10", "-9.5"))
	require.Positive(t, compareDecimals("10", "9.75"))
	require.Negative(t, compareDecimals("-1", "0.5"))
	require.Negative(t, compareDecimals("0.25", "0.5"))
	require.Zero(t, compareDecimals("7.5", "7.5"))
}

func TestIdentify(t *testing.T) {
	id, ok := Identify("https://shop.example.com/01/4012345111118/10/L1/21/A7")
	require.True(t, ok)
	require.Equal(t, []string{"GTIN", "04012345111118", "L1", "A7"}, []string{id.Key, id.Value, id.Lot, id.Serial})
	require.Equal(t, "https://id.gs1.org/01/04012345111118/10/L1", id.Class())
	require.True(t, id.IsInstance())
	require.True(t, id.OwnedBy("4012345"))
	require.False(t, id.OwnedBy("0401234"))
	for uri, want := range map[string]struct {
		key, class string
		instance   bool
	}{
		"urn:epc:id:sgtin:4012345.011111.9":         {"GTIN", "https://id.gs1.org/01/04012345111118", true},
		"urn:epc:class:lgtin:4012345.011111.L":      {"GTIN", "https://id.gs1.org/01/04012345111118/10/L", false},
		"urn:epc:idpat:sgtin:4012345.011111.*":      {"GTIN", "https://id.gs1.org/01/04012345111118", false},
		"urn:epc:id:sscc:4012345.3111111111":        {"SSCC", "", true},
		"urn:epc:id:grai:4012345.55555.987":         {"GRAI", "", true},
		"urn:epc:idpat:grai:4012345.55555.*":        {"GRAI", "", false},
		"https://id.gs1.org/414/4012345000054":      {"GLN", "", true},
		"urn:epc:id:itip:4012345.011111.01.02.987":  {"ITIP", "https://id.gs1.org/8006/040123451111180102", true},
		"https://x.example/8004/4012345ABC/7040/1A": {"GIAI", "", true},
	} {
		id, ok := Identify(uri)
		require.True(t, ok, uri)
		require.Equal(t, want.key, id.Key, uri)
		require.Equal(t, want.class, id.Class(), uri)
		require.Equal(t, want.instance, id.IsInstance(), uri)
		require.True(t, id.OwnedBy("4012345"), uri)
	}
	_, ok = Identify("geo:1,2")
	require.False(t, ok)
}
