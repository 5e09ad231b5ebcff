"""The network of LPIPS, for metrics and for losses."""
