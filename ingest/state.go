package ingest

import (
	"maps"
	"slices"
	"sync"
)

// conditions are the reasons why ingest is not as it should be.
type conditions struct {
	mu      sync.Mutex
	reasons map[string]string
}

// set notes a reason and tells whether it is a new one.
func (c *conditions) set(what, why string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := c.reasons[what]
	if c.reasons == nil {
		c.reasons = map[string]string{}
	}
	c.reasons[what] = why
	return !known
}

func (c *conditions) clear(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.reasons, what)
}

func (c *conditions) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]string, 0, len(c.reasons))
	for _, what := range slices.Sorted(maps.Keys(c.reasons)) {
		list = append(list, what+": "+c.reasons[what])
	}
	return list
}
