# Sourced by the scripts beside it, after environment.sh: makes the databases of the digits that come with hpcbrew, where
# they are not there yet.

lenet=configs/models/lenet

# database NAME PART: of the idx files of that part
database() {
    local said
    if [[ ! -e $lenet/$1 ]]; then
        printf 'Making %s.\n' "$lenet/$1"
        said=$(convert_mnist_data "$lenet/digits/$2-images-idx3-ubyte.gz" "$lenet/digits/$2-labels-idx1-ubyte.gz" "$lenet/$1" 2>&1) ||
            fail "$said"
    fi
}

database mnist_train_lmdb train
database mnist_test_lmdb t10k
