"""Where spikes pay: cheapest spiking agents and ANNs at equal return, under several prices."""
