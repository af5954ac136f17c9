"""What computing and sending cost a device: time, power, energy."""
