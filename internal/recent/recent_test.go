// This file tests which values a Log keeps, and in which order.

package recent

import (
	"slices"
	"sync"
	"testing"
)

func values(l *Log[string, int]) (all []int) {
	for _, e := range l.Entries() {
		all = append(all, e.Value)
	}
	return all
}

func TestLogKeepsTheLatestFirst(t *testing.T) {
	var l Log[string, int]
	for i := range 3*Cap + 7 {
		l.Add("", i)
	}
	got := values(&l)
	if len(got) != Cap || got[0] != 3*Cap+6 || got[Cap-1] != 2*Cap+7 {
		t.Errorf("%d values, %d to %d", len(got), got[0], got[len(got)-1])
	}
	if !slices.IsSortedFunc(got, func(a, b int) int { return b - a }) {
		t.Errorf("not the latest first: %v", got)
	}
}

func TestLogCountsValuesOfOneKeyAsOne(t *testing.T) {
	var l Log[string, int]
	l.Add("a", 1)
	l.Add("", 2)
	for i := range 10 * Cap {
		l.Add("a", i)
		l.Add("b", i)
	}
	l.Add("", 3)
	entries := l.Entries()
	want := []Entry[int]{{3, 1}, {10*Cap - 1, 10 * Cap}, {10*Cap - 1, 10*Cap + 1}, {2, 1}}
	if !slices.Equal(entries, want) {
		t.Errorf("%v, want %v", entries, want)
	}
}

func TestLogGivesUpTheEntryThatWasAddedToLongestAgo(t *testing.T) {
	var l Log[string, int]
	l.Add("kept", 0)
	for i := range 2 * Cap {
		l.Add("", i)
		l.Add("kept", i)
	}
	if e := l.Entries(); len(e) != Cap || e[0].Times != 2*Cap+1 {
		t.Errorf("%d entries, the latest %+v", len(e), e[0])
	}
}

func TestLogAllocatesNothingWhenFull(t *testing.T) {
	var l Log[int, [40]int]
	for range Cap {
		l.Add(0, [40]int{})
	}
	if n := testing.AllocsPerRun(1000, func() { l.Add(0, [40]int{}); l.Add(7, [40]int{}) }); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestLogIsSafeForConcurrentUse(t *testing.T) {
	var l Log[int, int]
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				l.Add(k+1, i)
				_ = l.Entries()
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, e := range l.Entries() {
		sum += e.Times
	}
	if sum != 4000 {
		t.Errorf("%d additions are known, want 4000", sum)
	}
}
