package storage

// BudgetFree returns how many bytes of a Budget nobody holds.
func BudgetFree(b *Budget) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}
