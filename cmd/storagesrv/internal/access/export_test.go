package access

// What the fuzz tests reach directly.
var (
	Freshness     = freshness
	AppChallenges = challenges
)
