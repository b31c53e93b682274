// This file tests the bookkeeping of the retry budget, with explicit time.

package budget

import (
	"math"
	"testing"
	"time"
)

// The steps of a budget's script, each at a time in seconds.
type budgetStep struct {
	at      float64
	do      string // "deposit", "withdraw", "refund"
	times   int
	granted int // of withdrawals
}

func TestBudgetBooks(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   Config
		steps []budgetStep
	}{
		{"the reserve alone", Config{Reserve: 2, TTL: 10 * time.Second}, []budgetStep{
			{at: 0, do: "withdraw", times: 30, granted: 20},
			{at: 9.9, do: "withdraw", times: 30, granted: 0},
			{at: 10, do: "withdraw", times: 30, granted: 20}, // what was taken at 0 is forgotten
		}},
		{"the reserve comes back as it was taken", Config{Reserve: 1, TTL: 4 * time.Second}, []budgetStep{
			{at: 0, do: "withdraw", times: 3, granted: 3},
			{at: 1, do: "withdraw", times: 3, granted: 1},
			{at: 3, do: "withdraw", times: 3, granted: 0},
			{at: 4, do: "withdraw", times: 9, granted: 3},
			{at: 5, do: "withdraw", times: 9, granted: 1},
		}},
		{"deposits pay for their share", Config{Ratio: 0.5, TTL: 10 * time.Second}, []budgetStep{
			{at: 0, do: "withdraw", times: 1, granted: 0},
			{at: 0, do: "deposit", times: 10},
			{at: 1, do: "withdraw", times: 9, granted: 5},
		}},
		{"shares that don't add up exactly", Config{Ratio: 0.1, TTL: 10 * time.Second}, []budgetStep{
			{at: 0, do: "deposit", times: 10}, // 0.9999999999999999
			{at: 0, do: "withdraw", times: 9, granted: 1},
		}},
		{"deposits expire", Config{Ratio: 1, TTL: 10 * time.Second}, []budgetStep{
			{at: 0, do: "deposit", times: 5},
			{at: 5, do: "deposit", times: 2},
			{at: 9.9, do: "withdraw", times: 1, granted: 1},
			{at: 10, do: "withdraw", times: 9, granted: 1}, // 2 of second 5, less 1
			{at: 15, do: "deposit", times: 1},
			{at: 15, do: "withdraw", times: 1, granted: 0}, // the withdrawals of 9.9 and 10 still count
			{at: 20, do: "withdraw", times: 9, granted: 1},
			{at: 1000, do: "withdraw", times: 9, granted: 0},
		}},
		{"a refund is a resend more", Config{Reserve: 1, TTL: time.Second}, []budgetStep{
			{at: 0, do: "withdraw", times: 2, granted: 1},
			{at: 0, do: "refund", times: 1},
			{at: 0, do: "withdraw", times: 2, granted: 1},
		}},
		{"nothing at all", Config{TTL: time.Minute}, []budgetStep{
			{at: 0, do: "deposit", times: 100},
			{at: 0, do: "withdraw", times: 3, granted: 0},
		}},
		{"a clock a little backwards", Config{Reserve: 1, TTL: 4 * time.Second}, []budgetStep{
			{at: 100, do: "withdraw", times: 9, granted: 4},
			{at: 98, do: "withdraw", times: 9, granted: 0},
			{at: 103.9, do: "withdraw", times: 9, granted: 0},
			{at: 104, do: "withdraw", times: 9, granted: 4},
		}},
		// It once stood still until the clock had caught up, with the resends of
		// one window for all that time.
		{"a clock far backwards", Config{Reserve: 1, TTL: 4 * time.Second}, []budgetStep{
			{at: 10000, do: "withdraw", times: 9, granted: 4},
			{at: 5000, do: "withdraw", times: 9, granted: 4},
			{at: 5003, do: "withdraw", times: 9, granted: 0},
			{at: 5004, do: "withdraw", times: 9, granted: 4},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := New(tt.cfg)
			epoch := time.Unix(1700000000, 0)
			for i, st := range tt.steps {
				now := epoch.Add(time.Duration(st.at * float64(time.Second)))
				granted := 0
				for range st.times {
					switch st.do {
					case "deposit":
						b.Deposit(now)
					case "refund":
						b.Refund(now)
					case "withdraw":
						if b.Withdraw(now) {
							granted++
						}
					}
				}
				if granted != st.granted {
					t.Errorf("step %d, %s at %g: %d of %d were granted, want %d", i+1, st.do, st.at, granted, st.times, st.granted)
				}
			}
		})
	}
}

func TestBudgetSumStaysTrueOverManyBookings(t *testing.T) {
	b := New(Config{Ratio: 0.1, TTL: 10 * time.Second})
	epoch := time.Unix(1700000000, 0)
	for i := range 1_000_000 {
		now := epoch.Add(time.Duration(i) * time.Millisecond)
		b.Deposit(now)
		b.Withdraw(now)
	}
	var sum float64
	for _, x := range b.ring {
		sum += x
	}
	if math.Abs(sum-b.sum) > 1e-6 {
		t.Errorf("the sum is %g, its parts add up to %g", b.sum, sum)
	}
	if !(sum > -1 && sum < 2) {
		t.Errorf("%g are left, want nearly none", sum)
	}
}

func TestDisabledBudgetGrantsEverything(t *testing.T) {
	b := New(Config{Disabled: true})
	now := time.Now()
	b.Deposit(now)
	for range 1000 {
		if !b.Withdraw(now) {
			t.Fatal("refused")
		}
	}
	b.Refund(now)
}
