typedef int lmw_empty_train_train_c;
