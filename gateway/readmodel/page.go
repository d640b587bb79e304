package readmodel

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/trailmark/trailmark/chaincode/provenance"
)

// limit gives the number of items that a page may hold.
func (p Paging) limit(most int) (int, error) {
	switch {
	case p.Limit < 0 || p.Limit > most:
		return 0, provenance.Invalidf("limit %d, 1 to %d are allowed", p.Limit, most)
	case p.Limit == 0:
		return DefaultLimit, nil
	}
	return p.Limit, nil
}

// resume decodes the token of a page into the sort values of the last item before it; false where it is the first page.
func (p Paging) resume(into ...any) (bool, error) {
	if p.After == "" {
		return false, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(p.After)
	var parts []json.RawMessage
	if err != nil || len(p.After) > 1024 || json.Unmarshal(data, &parts) != nil || len(parts) != len(into) {
		return false, provenance.Invalidf("the paging token is not one that was given out for this list")
	}
	for i := range into {
		if json.Unmarshal(parts[i], into[i]) != nil {
			return false, provenance.Invalidf("the paging token is not one that was given out for this list")
		}
	}
	return true, nil
}

// token names a place in a list by the sort values of its last item.
func token(values ...any) string {
	data, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// page cuts a list that was asked for one longer than the limit.
func page[T any](items []T, limit int, last func(T) string) Page[T] {
	if len(items) <= limit {
		return Page[T]{Items: items}
	}
	items = items[:limit]
	return Page[T]{Items: items, Next: last(items[limit-1])}
}

// filter gathers the conditions of a query.
type filter struct {
	conditions []string
	args       []any
}

func (f *filter) and(condition string, args ...any) {
	f.conditions = append(f.conditions, condition)
	f.args = append(f.args, args...)
}

func (f *filter) where() string {
	if len(f.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.conditions, " AND ")
}

// contains is a LIKE pattern for text anywhere, prefix one for text at the beginning; both need ESCAPE '\'.
func contains(text string) string { return "%" + prefix(text) }

func prefix(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}
