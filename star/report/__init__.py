"""Put the results of several methods side by side: tables, page, pictures."""

from star.report.comparison import Comparison, compare
from star.report.runs import Run, load_runs

__all__ = ['Comparison', 'Run', 'compare', 'load_runs']
