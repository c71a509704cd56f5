"""How the machine is: CPU, memory, disks, network, processes, and whether services answer."""
