"""The solvers of a round: own network simplex, exact split, cost scaling, pricing over all pairs."""
