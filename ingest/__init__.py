"""The doors through which commands enter the stream: HTTP, and the contract for direct pushes."""
