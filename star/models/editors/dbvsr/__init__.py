"""DBVSR, with PWC-Net and RCAN."""
