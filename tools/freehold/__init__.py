"""What Freehold's command-line tools share. Standard library only; nothing here is needed by the hypervisor."""
