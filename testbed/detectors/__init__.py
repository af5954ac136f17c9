"""What a detector costs and delivers at each operating point."""
