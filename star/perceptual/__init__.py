"""Networks that metrics share with losses or methods: LPIPS, RAFT."""
