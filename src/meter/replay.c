typedef int lmw_empty_meter_replay_c;
