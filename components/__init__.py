"""Components of methods: pure functions and small modules."""
