"""What a world must pass before it trains anything: `check` (conformance), `audit` (verifier)."""
