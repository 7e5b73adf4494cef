package access

// What tests reach directly.
var (
	Freshness     = freshness
	AppChallenges = challenges
	Bounded       = bounded
)
